"""Many accounts with official clients in every scope behind one address, and their mixed traffic."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

import httpx

from tests.e2e.calls import CallLog, keep_calling
from tests.e2e.crowd_writers import Gate, Pace, emitter, poster, updater
from tests.e2e.kill_ledger import Ledger
from tests.e2e.readers import READS, Device, Reader, complete, drawn_wrong, lacking, outdated, wrong
from tests.support.api_client import ApiClient
from tests.support.official_client import NodeClient

SESSIONS, PHONES = 6, 4
AFTER = (0, 30, 300)
"""After how many ms the daemons of a household answer calls. One more never does."""

DEVICES = 2 * SESSIONS + len(AFTER) + 1 + PHONES
"""Connections of one household: an agent and a watcher of every session, daemons, and phones."""

BEAT_SECONDS = 2.0
COMPLETE_SECONDS = 30.0
"""How long a busy machine may take until everybody has been told, or is back and has read."""

PARTS = ("metadata", "agentState")
T = TypeVar("T")


class Household:
    """One account and its devices.

    Agents read at every connect; watchers, as clients without a name, daemons and phones rely on the replay.
    """

    def __init__(self, api: ApiClient, client: NodeClient, sessions: list[str], machines: list[str]) -> None:
        self.api = api
        self.ledger = Ledger(sessions)

        def device(
            methods: list[str], follows: list[str], after: int | None = None, **auth: str | None
        ) -> Device:
            made = Device(client, api.url, methods, after, token=api.token, **auth)
            made.reader = Reader(api, follows, lists=len(follows) > 1)
            return made

        def in_session(session: str, name: str | None, *methods: str) -> Device:
            auth = {"clientType": "session-scoped", "sessionId": session, "happyClient": name}
            return device(list(methods), [session], 0, **auth)

        def on_machine(machine: str, after: int | None) -> Device:
            methods = [f"{machine}:bash", f"{machine}:readFile"]
            auth = {"clientType": "machine-scoped", "machineId": machine, "happyClient": "cli-daemon/1.2.5"}
            return device(methods, [], after, **auth)

        self.agents = {session: in_session(session, READS, f"{session}:abort") for session in sessions}
        self.watchers = [in_session(session, None) for session in sessions]
        self.daemons = [on_machine(machine, after) for machine, after in zip(machines, AFTER, strict=True)]
        self.silent = on_machine("a silent machine", None)
        phone = {"clientType": "user-scoped", "happyClient": "web/1.0.0"}
        self.phones = [device([], sessions, None, **phone) for _ in range(PHONES)]

    @property
    def devices(self) -> list[Device]:
        return [*self.agents.values(), *self.watchers, *self.daemons, self.silent, *self.phones]

    def readers(self) -> Iterator[tuple[Device, Reader]]:
        for device in self.devices:
            assert device.reader is not None
            yield device, device.reader

    async def stored(self) -> dict[str, list[str]]:
        """The ids of every session's messages, in the database's order."""
        sessions = self.ledger.sessions
        rows = {sid: await surely(partial(self.api.messages, sid)) for sid in sessions}
        return {sid: [str(row["id"]) for row in rows[sid]] for sid in sessions}

    async def listed(self) -> list[dict[str, Any]]:
        answer: dict[str, list[dict[str, Any]]] = await surely(lambda: self.api.get("/v1/sessions"))
        return answer["sessions"]

    def late(self, stored: Mapping[str, list[str]], listed: Sequence[Mapping[str, Any]]) -> Iterator[str]:
        """By client, what it was not told."""
        for device, reader in self.readers():
            messages, versions = sum(lacking(reader, stored).values()), outdated(reader, listed)
            if messages or versions:
                state = "online" if device.online else "offline"
                who = f"{device.name} ({device.client}), {state} and {device.recovered} times recovered"
                yield f"{who}, was not told of {messages} messages and {versions} versions"

    async def problems(self) -> list[str]:
        """Wait until everybody has everything; what still is not as promised."""
        stored = await self.stored()
        found: list[str] = []
        for device, reader in self.readers():
            await complete(reader, stored)
            found += [
                f"{device.name} lacks {count} of {sid}" for sid, count in lacking(reader, stored).items()
            ]
            found += wrong(reader, stored)
            found += [f"{device.name} was told twice: {what}" for what in reader.received_twice]
        return found + await self.pictures() + await self.ledger.problems(self.api)

    async def pictures(self) -> list[str]:
        """Wait until every app draws what it would draw after a reload; what is still drawn otherwise."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + COMPLETE_SECONDS
        while True:
            machines: list[dict[str, Any]] = await surely(lambda: self.api.get("/v1/machines"))
            online = {row["id"]: bool(row["active"]) for row in [*await self.listed(), *machines]}
            found = [
                f"{device.name}: {what}"
                for device, reader in self.readers()
                if reader.lists
                for what in drawn_wrong(reader, online)
            ]
            if not found or loop.time() > deadline:
                return found
            await asyncio.sleep(0.2)


async def surely(ask: Callable[[], Awaitable[T]]) -> T:
    """The answer, though a connection that was kept led to a replica which has just been killed."""
    while True:
        try:
            return await ask()
        except httpx.TransportError:
            await asyncio.sleep(0.1)


class Crowd:
    """All households and what they do."""

    def __init__(self, households: list[Household], seed: int, pace: Pace) -> None:
        self.households = households
        self.calls = CallLog()
        self.gate = Gate()
        self.complete_after = 0.0
        self._chance = random.Random(seed)
        self._pace = pace

    @property
    def devices(self) -> list[Device]:
        return [device for household in self.households for device in household.devices]

    @contextlib.asynccontextmanager
    async def traffic(self) -> AsyncIterator[None]:
        """Everything at once until the end of the block; what was begun is finished then."""
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for household in self.households:
                for work in self._works(household, over):
                    group.create_task(work)
            yield
            over.set()
            self.gate.open()
            for household in self.households:
                await household.silent.close()

    def _works(self, household: Household, over: asyncio.Event) -> Iterator[Coroutine[Any, Any, None]]:
        def own() -> random.Random:
            return random.Random(self._chance.random())

        ledger, gate, pace = household.ledger, self.gate, self._pace
        for _ in range(pace.posters):
            yield poster(household.api, ledger, gate, pace, own())(over)
        for agent in household.agents.values():
            yield beat(agent, over, own())
        for agent in list(household.agents.values())[: pace.emitters]:
            yield emitter(agent, ledger, gate, pace, own())(over)
        for part, session in zip(PARTS, ledger.sessions, strict=False):
            yield updater(household.agents[session], ledger, gate, pace, (session, part))(over)
        targets = [*household.daemons, *household.agents.values()]
        for phone in household.phones[: pace.callers]:
            yield keep_calling(self.calls, phone, targets, over, own())
        for phone in household.phones[: 2 * pace.patient]:
            yield keep_calling(self.calls, phone, [household.silent], over, own())

    async def late(self) -> list[str]:
        """What clients still lack some time after the last answer, though nothing more is written."""
        expected = [(house, await house.stored(), await house.listed()) for house in self.households]
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            found = [late for house, stored, listed in expected for late in house.late(stored, listed)]
            waited = loop.time() - began
            self.complete_after = max(self.complete_after, waited)
            if not found or waited > COMPLETE_SECONDS:
                return found
            await asyncio.sleep(0.2)

    async def nudge(self) -> None:
        """One more message into every session: whoever lacks the one before notices."""
        for household in self.households:
            for session in household.ledger.sessions:
                (row,) = await household.api.post_messages(session, [f"the end of {session}"])
                household.ledger.message_kept(session, f"the end of {session}", row["seq"])

    async def problems(self) -> list[str]:
        found = self.calls.problems()
        for household in self.households:
            found += await household.problems()
        return found

    def summary(self) -> str:
        kept = sum(len(texts) for house in self.households for texts in house.ledger.promised.values())
        versions = sum(house.ledger.versions for house in self.households)
        retries = sum(house.ledger.retries for house in self.households)
        losses = sum(device.losses for device in self.devices)
        recovered = sum(device.recovered for device in self.devices)
        refusals = sum(house.ledger.unavailable for house in self.households)
        slowest = max(house.ledger.slowest for house in self.households)
        reads = sum(reader.reads for house in self.households for _, reader in house.readers())
        return (
            f"{len(self.devices)} sockets, {losses} reconnects, {recovered} recovered, {reads} pages read; "
            f"{kept} messages and {versions} versions acknowledged, {retries} retries, {refusals} refusals, "
            f"slowest post {slowest:.1f} s; {self.calls.summary()}"
        )


async def beat(agent: Device, over: asyncio.Event, chance: random.Random) -> None:
    """A sign of life every two seconds, as agents send it."""
    assert agent.reader is not None
    (session,) = agent.reader.ids
    await asyncio.sleep(chance.uniform(0, BEAT_SECONDS))
    while not over.is_set():
        if agent.online:
            await agent.emit(
                "session-alive", {"sid": session, "time": int(time.time() * 1000), "thinking": True}
            )
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), BEAT_SECONDS)


@contextlib.asynccontextmanager
async def crowd(url: str, *, sockets: int, seed: int, pace: Pace | None = None) -> AsyncIterator[Crowd]:
    """Connected, and quiet."""
    async with contextlib.AsyncExitStack() as stack:
        client = await stack.enter_async_context(NodeClient())
        households = []
        for _ in range(max(1, sockets // DEVICES)):
            api = await stack.enter_async_context(ApiClient.signed_in(url))
            sessions = [str((await api.create_session())["id"]) for _ in range(SESSIONS)]
            machines = [str((await api.register_machine())["id"]) for _ in AFTER]
            household = Household(api, client, sessions, machines)
            households.append(household)
            await asyncio.gather(*(device.connect() for device in household.devices))
        yield Crowd(households, seed, pace or Pace())
