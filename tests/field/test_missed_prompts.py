"""Prompts that are sent while an agent's connection is cut reach it once, whatever its client does then."""

import pytest
import pytest_asyncio

from tests.e2e.conftest import Account
from tests.support.api_client import ApiClient
from tests.support.cluster import Pair
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.reconnecting_client import contents

pytestmark = pytest.mark.asyncio(loop_scope="session")

READS = ["cli-coding-session/1.2.5", "cli-coding-session/1.2.0"]
RELIES = [None, "cli-control-plane/0.1.0", "somebody's/1"]
MISSED = ["missed 1", "missed 2"]


class Agent:
    """The connection of a session's process, which comes back by itself only when it is told to."""

    def __init__(self, account: Account, sid: str, name: str | None) -> None:
        auth = {} if name is None else {"happyClient": name}
        self.socket = account.session(sid, **auth).with_options(reconnection=False)
        self.sid = sid
        self.read: list[str] = []

    async def __aenter__(self) -> OfficialSocket:
        await self.socket.connect()
        return self.socket

    async def __aexit__(self, *_: object) -> None:
        await self.socket.close()

    async def come_back(self, api: ApiClient, *, reads: bool) -> list[str]:
        """The prompts that it was sent, and those that it reads over HTTP if it does so at every connect."""
        before = len(contents(self.socket))
        await self.socket.come_back()
        await self.socket.call("ping")
        if reads:
            path = f"/v3/sessions/{self.sid}/messages"
            page = await api.get(path, after_seq=before, limit=100)
            self.read = [row["content"]["c"] for row in page["messages"]]
        return contents(self.socket)[before:] + self.read


@pytest_asyncio.fixture(loop_scope="session")
async def sid(account: Account) -> str:
    return str((await account.api.create_session())["id"])


@pytest.mark.parametrize("name", [*READS, *RELIES])
async def test_a_prompt_sent_during_a_cut_reaches_the_agent_once(
    account: Account, sid: str, name: str | None
) -> None:
    """Twice, where a client reads what it missed by itself and is replayed it as well."""
    agent = Agent(account, sid, name)
    async with agent as socket:
        await account.api.post_messages(sid, ["before"])
        await socket.call("ping")
        await socket.cut()
        await account.api.post_messages(sid, MISSED)

        assert await agent.come_back(account.api, reads=name in READS) == MISSED

        await account.api.post_messages(sid, ["after"])
        await socket.call("ping")
        assert contents(socket)[-1] == "after"


@pytest.mark.services
@pytest.mark.parametrize("name", [*READS, *RELIES])
async def test_a_prompt_sent_before_a_move_to_another_replica_reaches_the_agent_once(
    pair: Pair, client: NodeClient, name: str | None
) -> None:
    one, other = pair
    sid = str((await one.create_session())["id"])
    agent = Agent(Account(one, client), sid, name)
    async with agent as socket, Account(other, client).user() as phone:
        await one.post_messages(sid, ["before"])
        await socket.call("ping")
        await socket.cut()
        await socket.aim(other.url)
        await one.post_messages(sid, MISSED[:1])
        await other.post_messages(sid, MISSED[1:])
        while len(contents(phone)) < 1 + len(MISSED):
            await phone.next_update("new-message")

        assert await agent.come_back(other, reads=name in READS) == MISSED


@pytest.mark.parametrize("name", [*READS, *RELIES])
async def test_an_archive_request_sent_during_a_cut_reaches_the_agent(
    account: Account, sid: str, name: str | None
) -> None:
    """No client reads a session's metadata when it is back: who asks the agent to end must not be missed."""
    agent = Agent(account, sid, name)
    async with agent as socket, account.user() as phone:
        await socket.cut()
        asked = {"sid": sid, "metadata": "archive, please", "expectedVersion": 0}
        assert (await phone.call("update-metadata", asked))["result"] == "success"
        await agent.come_back(account.api, reads=False)

        (missed,) = socket.updates("update-session")
        assert missed["metadata"] == {"value": "archive, please", "version": 1}
