"""An agent whose client never reads messages is given prompts that no replay can tell it of."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.e2e.conftest import Account
from tests.support.api_client import ApiClient
from tests.support.cluster import cluster
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.reconnecting_client import contents
from tests.support.server_process import Server

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

LAST = "the last one"


class Home:
    """A server that is restarted, and the session of a client 0.x, which gives no name."""

    def __init__(self, server: Server, api: ApiClient, client: NodeClient, sid: str) -> None:
        self.server = server
        self.api = api
        self.sid = sid
        self._account = Account(api, client)

    def agent(self, **auth: str) -> OfficialSocket:
        return self._account.session(self.sid, **auth).with_options(reconnection=False)

    async def restart(self, agent: OfficialSocket, *prompts: str) -> None:
        """Kill the server; the prompts are sent when it is back and the agent's client is not."""
        self.server.kill()
        await agent.next_life("disconnect")
        await self.server.start()
        for prompt in prompts:
            await self.api.post_messages(self.sid, [prompt])
        await agent.come_back()

    async def given(self, agent: OfficialSocket) -> list[str]:
        """Everything that the agent was sent, once a last prompt has arrived behind it."""
        await self.api.post_messages(self.sid, [LAST])
        while LAST not in contents(agent):
            await agent.next_update()
        return contents(agent)


@pytest_asyncio.fixture(loop_scope="session")
async def home(own_server: Server, client: NodeClient) -> AsyncIterator[Home]:
    async with ApiClient.signed_in(own_server.url) as api:
        yield Home(own_server, api, client, str((await api.create_session())["id"]))


async def test_prompts_sent_after_a_restart_before_the_agent_is_back_reach_it_once(home: Home) -> None:
    async with home.agent() as agent:
        await home.api.post_messages(home.sid, ["one", "two"])
        await agent.call("ping")
        await home.restart(agent, "three", "four")
        await home.restart(agent)
        await home.restart(agent, "five")

        assert ["one", "two", "three", "four", "five", LAST] == await home.given(agent)


async def test_an_agent_that_was_sent_nothing_yet_is_given_its_first_prompt(home: Home) -> None:
    await home.api.post_messages(home.sid, ["before it came"])
    async with home.agent() as agent:
        await home.restart(agent, "one")

        assert ["one", LAST] == await home.given(agent)


async def test_an_update_of_its_session_does_not_make_it_forget_what_it_was_sent(home: Home) -> None:
    async with home.agent() as agent:
        await home.api.post_messages(home.sid, ["one"])
        changed = await agent.call(
            "update-metadata", {"sid": home.sid, "metadata": "m", "expectedVersion": 0}
        )
        assert changed["result"] == "success"
        await home.restart(agent, "two")

        assert ["one", "two", LAST] == await home.given(agent)


async def test_long_prompts_are_given_as_well(home: Home) -> None:
    """They are not read with the rest of a page."""
    long = [f"{number} {'x' * 900_000}" for number in range(6)]
    async with home.agent() as agent:
        await home.restart(agent, *long)

        assert [*long, LAST] == await home.given(agent)


async def test_what_it_wrote_itself_does_not_come_back_as_a_prompt(home: Home) -> None:
    async with home.agent() as agent:
        await home.api.post_messages(home.sid, ["one"])
        await agent.call("message", {"sid": home.sid, "message": "typed in the terminal"})
        await home.restart(agent, "two")

        assert ["one", "two", LAST] == await home.given(agent)


async def test_a_client_that_reads_by_itself_is_given_nothing_from_the_store(home: Home) -> None:
    async with home.agent(happyClient="cli-coding-session/1.2.5") as agent:
        await home.api.post_messages(home.sid, ["one"])
        await agent.call("ping")
        await home.restart(agent, "two")

        assert ["one", LAST] == await home.given(agent)


async def test_prompts_sent_while_somebody_comes_back_arrive_once(home: Home) -> None:
    """They are read and announced at the same time."""
    async with home.agent() as agent:
        await home.api.post_messages(home.sid, ["one"])
        await agent.call("ping")
        home.server.kill()
        await agent.next_life("disconnect")
        await home.server.start()
        prompts = [f"prompt {number}" for number in range(60)]
        writing = asyncio.gather(*(home.api.post_messages(home.sid, [prompt]) for prompt in prompts))
        await agent.come_back()
        await writing
        given = await home.given(agent)

        stored = await home.api.messages(home.sid)
        assert given == [row["content"]["c"] for row in stored]


@pytest.mark.services
async def test_prompts_sent_while_a_replica_is_killed_reach_its_agent_once(
    tmp_path: Path, client: NodeClient
) -> None:
    """A replica that is killed right after a prompt may owe an event, so that nothing can be replayed."""
    async with (
        cluster(tmp_path, 2) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
    ):
        sid = str((await one.create_session())["id"])
        home = Home(first, other, client, sid)
        async with Account(one, client).session(sid).with_options(reconnection=False) as agent:
            expected = []
            for turn in range(4):
                await one.post_messages(sid, [f"{turn} before"])
                first.kill()
                await agent.next_life("disconnect")
                await other.post_messages(sid, [f"{turn} during 1", f"{turn} during 2"])
                await first.start()
                await agent.come_back()
                expected += [f"{turn} before", f"{turn} during 1", f"{turn} during 2"]

            assert [*expected, LAST] == await home.given(agent)


@pytest.mark.services
async def test_an_agent_that_moved_to_a_replica_before_its_kill_is_given_its_prompts_once(
    tmp_path: Path, client: NodeClient
) -> None:
    async with (
        cluster(tmp_path, 2) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
    ):
        sid = str((await one.create_session())["id"])
        async with Account(one, client).session(sid).with_options(reconnection=False) as agent:
            await one.post_messages(sid, ["1"])
            await agent.call("ping")
            await agent.cut()
            await agent.aim(second.url)
            await one.post_messages(sid, ["2"])
            await agent.come_back()
            for number in ("3", "4"):
                change = {"sid": sid, "metadata": number, "expectedVersion": int(number) - 3}
                assert (await agent.call("update-metadata", change))["result"] == "success"
                await other.post_messages(sid, [number])
            second.kill()
            await agent.next_life("disconnect")
            await one.post_messages(sid, ["5", "6"])
            await second.start()
            await agent.come_back()

            expected = [*"123456", LAST]
            assert expected == await Home(second, other, client, sid).given(agent)
