"""Who comes back after a cut shows what somebody shows who was there all the time."""

import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import NamedTuple

import pytest

from tests.e2e.conftest import Account
from tests.e2e.shown import Shown, listed, shown, until_shown
from tests.support.api_client import ApiClient
from tests.support.cluster import Pair
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


def ms() -> int:
    return int(time.time() * 1000)


class Home:
    """An account with an agent that thinks, another that does not, and two machines, one of them online.

    Its phones may be at another replica than these.
    """

    def __init__(
        self, account: Account, phones: Account, session: str, idle: str, machine: str, off: str
    ) -> None:
        self.api = account.api
        self.session, self.idle, self.machine, self.off = session, idle, machine, off
        self.agent, self.idle_agent = account.session(session), account.session(idle)
        self.daemon, self.late_daemon = account.machine(machine), account.machine(off)
        self.phone = phones.user().with_options(reconnection=False)
        self.witness = phones.user()

    def shows_the_start(self, now: Shown) -> bool:
        thinking = {self.session: (True, True), self.idle: (True, False)}
        return now == Shown(thinking, {self.machine: True}, {}, ["before"])

    async def alive(self, agent: OfficialSocket, *, thinking: bool) -> None:
        sid = self.session if agent is self.agent else self.idle
        await agent.emit("session-alive", {"sid": sid, "time": ms(), "thinking": thinking})

    async def report(self, total: int) -> None:
        tokens = {"total": total, "input": 1, "output": 1, "cache_creation": 0, "cache_read": 0}
        cost = {"total": 1, "input": 1, "output": 0}
        report = {"key": "k", "sessionId": self.session, "tokens": tokens, "cost": cost}
        assert (await self.agent.call("usage-report", report))["success"]

    async def happens(self, title: str) -> None:
        event = {"kind": "done", "title": title, "body": "b", "data": {}}
        await self.api.post(f"/v1/sessions/{self.session}/push-event", event)


class Change(NamedTuple):
    """Something that happens while the phone is away, and what everybody shows then."""

    make: Callable[[Home], Awaitable[object]]
    shows: Callable[[Home, Shown], bool]


async def _twice(do: Callable[[int], Awaitable[None]]) -> None:
    for number in (1, 2):
        await do(number)


CHANGES = {
    "a session ends": Change(
        lambda home: home.agent.emit("session-end", {"sid": home.session, "time": ms()}),
        lambda home, now: now.sessions[home.session] == (False, False),
    ),
    "an agent stops thinking": Change(
        lambda home: home.alive(home.agent, thinking=False),
        lambda home, now: now.sessions[home.session] == (True, False),
    ),
    "an agent begins to think": Change(
        lambda home: home.alive(home.idle_agent, thinking=True),
        lambda home, now: now.sessions[home.idle] == (True, True),
    ),
    "a machine goes": Change(
        lambda home: home.daemon.close(),
        lambda home, now: now.machines[home.machine] is False,
    ),
    "a machine comes": Change(
        lambda home: home.late_daemon.connect(),
        lambda home, now: now.machines.get(home.off) is True,
    ),
    "usage is reported": Change(
        lambda home: _twice(lambda number: home.report(100 * number)),
        lambda home, now: now.usage.get((home.session, "k")) == 200,
    ),
    "two turns are done": Change(
        lambda home: _twice(lambda number: home.happens(f"turn {number}")),
        lambda home, now: now.unread == ["before", "turn 1", "turn 2"],
    ),
}
EVERY = pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())


@contextlib.asynccontextmanager
async def at_home(account: Account, phones: Account | None = None) -> AsyncIterator[Home]:
    """Everybody is connected, and the phone shows it."""
    api = account.api
    sessions = [str((await api.create_session())["id"]) for _ in range(2)]
    machines = [str((await api.register_machine())["id"]) for _ in range(2)]
    home = Home(account, phones or account, *sessions, *machines)
    async with contextlib.AsyncExitStack() as stack:
        for socket in (home.phone, home.witness, home.agent, home.idle_agent, home.daemon):
            await stack.enter_async_context(socket)
        stack.push_async_callback(home.late_daemon.close)
        await home.alive(home.agent, thinking=True)
        await home.alive(home.idle_agent, thinking=False)
        await home.happens("before")
        for phone in (home.phone, home.witness):
            await until_shown(phone, home.shows_the_start)
        yield home


@EVERY
async def test_a_phone_that_was_cut_shows_what_changed_meanwhile(account: Account, change: Change) -> None:
    async with at_home(account) as home:
        await home.phone.cut()
        await change.make(home)
        expected = await until_shown(home.witness, partial(change.shows, home))
        assert await home.phone.come_back()
        await home.phone.call("ping")

        assert shown(home.phone.events) == expected


@EVERY
@pytest.mark.services
@pytest.mark.parametrize("moves", [True, False])
async def test_a_phone_at_another_replica_than_the_agent_shows_what_changed_meanwhile(
    pair: Pair, client: NodeClient, change: Change, moves: bool
) -> None:
    """It has been there from the start, or goes there after the cut."""
    one, other = (Account(api, client) for api in pair)
    async with at_home(one, one if moves else other) as home:
        await home.phone.cut()
        await change.make(home)
        expected = await until_shown(home.witness, partial(change.shows, home))
        await home.phone.aim(other.api.url)
        assert await home.phone.come_back()
        await until_shown(home.phone, lambda now: now == expected)
        await home.phone.call("ping")

        assert shown(home.phone.events) == expected


@pytest.mark.parametrize("name", ["a session ends", "an agent stops thinking", "two turns are done"])
async def test_a_phone_that_comes_back_after_a_restart_shows_what_changed_before(
    own_server: Server, client: NodeClient, name: str
) -> None:
    """Either it is told that it may have missed something, and reads its lists, or it has missed nothing."""
    change = CHANGES[name]
    async with ApiClient.signed_in(own_server.url) as api, at_home(Account(api, client)) as home:
        await home.phone.cut()
        await change.make(home)
        expected = await until_shown(home.witness, partial(change.shows, home))
        assert await own_server.stop() == 0
        await own_server.start()
        if await home.phone.come_back():
            assert own_server.flavor == "full"
            await home.phone.call("ping")
            now = shown(home.phone.events)
            assert (now.sessions, now.unread) == (expected.sessions, expected.unread)
        else:
            active = {sid: active for sid, (active, _) in expected.sessions.items()}
            read = await listed(api)
            assert {sid: active for sid, (active, _) in read.sessions.items()} == active
