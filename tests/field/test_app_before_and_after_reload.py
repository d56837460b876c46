"""The app draws the same before and after a reload, whatever happened to its connection meanwhile."""

import time
from collections.abc import Awaitable, Callable

import pytest

from tests.e2e.app import App
from tests.e2e.app_view import Picture, State
from tests.e2e.conftest import Account
from tests.support.api_client import ApiClient
from tests.support.cluster import Pair
from tests.support.official_client import NodeClient
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

OUTBOX = ["one", "two", "three"]
CHAT = ["three", "two", "one", "before"]
"""From the newest down."""

AT_WORK = (State(online=True, thinking=True), State(online=True))
GONE = (State(online=False), State(online=False))


class Scene:
    """A chat, a session whose agent thinks, and a machine, in an account with two devices."""

    def __init__(self, api: ApiClient, client: NodeClient) -> None:
        self.api = api
        self.account = Account(api, client)
        self.chat = self.ended = self.machine = ""

    async def prepare(self) -> None:
        self.chat, self.ended = [str((await self.api.create_session())["id"]) for _ in range(2)]
        self.machine = str((await self.api.register_machine())["id"])
        await self.api.post_messages(self.chat, ["before"])

    async def end_during_a_cut(self, app: App) -> None:
        """The app shows an agent that thinks and its machine; both go while the app is cut off."""
        async with self.account.session(self.ended) as agent, self.account.machine(self.machine) as daemon:
            await agent.emit("session-alive", {"sid": self.ended, "time": now(), "thinking": True})
            await app.draws(lambda picture: self.states(picture) == AT_WORK)
            await app.cut()
            await agent.emit("session-end", {"sid": self.ended, "time": now()})
            await agent.call("ping")
            await daemon.close()

    def states(self, picture: Picture) -> tuple[State, State]:
        return picture.sessions[self.ended], picture.machines[self.machine]

    def is_over(self, picture: Picture) -> bool:
        return self.states(picture) == GONE and picture.chats == {self.chat: CHAT}


def now() -> int:
    return int(time.time() * 1000)


async def play(scene: Scene, app: App, tablet: App, between: Callable[[], Awaitable[None]]) -> None:
    """Start, outbox, cut, end and reload; `between` is what happens until the app can connect again."""
    await app.open_chat(scene.chat)
    await tablet.open_chat(scene.chat)
    await scene.end_during_a_cut(app)
    await between()
    await app.come_back()
    await app.post(scene.chat, *OUTBOX)
    before = await app.draws(scene.is_over)

    assert before == await tablet.draws(scene.is_over)


async def reload(scene: Scene, client: NodeClient, api: ApiClient) -> Picture:
    async with App(client, api) as reloaded:
        await reloaded.open_chat(scene.chat)
        return await reloaded.draws(scene.is_over)


async def nothing() -> None:
    pass


@pytest.mark.slow
async def test_the_app_draws_the_same_after_a_cut_as_after_a_reload(
    account: Account, client: NodeClient
) -> None:
    scene = Scene(account.api, client)
    await scene.prepare()
    async with App(client, account.api) as app, App(client, account.api) as tablet:
        await play(scene, app, tablet, nothing)

        assert app.list_reads == 1, "a recovered app does not read its lists again"
        assert app.view.picture() == await reload(scene, client, account.api)


@pytest.mark.slow
@pytest.mark.services
async def test_the_app_draws_the_same_after_a_move_to_another_replica_as_after_a_reload(
    pair: Pair, client: NodeClient
) -> None:
    one, other = pair
    scene = Scene(one, client)
    await scene.prepare()
    async with App(client, one) as app, App(client, other) as tablet:
        await play(scene, app, tablet, lambda: app.aim(other.url))

        assert app.list_reads == 1, "a recovered app does not read its lists again"
        for api in pair:
            assert app.view.picture() == await reload(scene, client, api)


async def test_the_app_draws_the_same_after_a_restart_of_the_server_as_after_a_reload(
    own_server: Server, client: NodeClient
) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        scene = Scene(api, client)
        await scene.prepare()
        async with App(client, api) as app, App(client, api) as tablet:

            async def restart() -> None:
                await own_server.stop()
                await tablet.next_life("disconnect")
                await own_server.start()
                await tablet.come_back()

            await play(scene, app, tablet, restart)

            assert app.view.picture() == await reload(scene, client, api)
