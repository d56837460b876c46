"""An outside yardstick: a relay on Node's `socket.io` that does the same work on the same core."""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench.clients import Clients
from tests.bench.figures import RATIO, Aim, Figure, best
from tests.bench.http_scenarios import session
from tests.bench.load import Caller, Load
from tests.bench.process_scenarios import ARRIVALS, arrive
from tests.bench.realtime_callers import crowd, rpc
from tests.bench.realtime_scenarios import BEATING, CROWDS, beating, signed_in
from tests.bench.server import LeftOut, Measured, Run, cpu_seconds, one_core
from tests.support.nodejs import installed, node, node_is_there

SCRIPT = Path(__file__).with_name("relay.mjs")
SOCKET_IO = ("socket.io", "4.8.4")
TURNS = 3
ARRIVAL_TURNS = 7

Work = Callable[[Load, Clients], Awaitable[Sequence[Caller]]]
Side = tuple[Measured, Clients]


class Relay:
    """The process on Node."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.pid = process.pid
        self.port = port

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.pid)


@asynccontextmanager
async def relay() -> AsyncIterator[Relay]:
    try:
        packages = installed(*SOCKET_IO)
    except RuntimeError as error:
        raise LeftOut(f"npm has no socket.io for us: {error}") from None
    command = [node(), str(SCRIPT), str(packages)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)  # noqa: ASYNC220 - returns at once
    try:
        assert process.stdout is not None
        port = await asyncio.to_thread(process.stdout.readline)
        yield Relay(process, int(port))
    finally:
        process.kill()
        process.wait()


async def against_node(run: Run) -> list[Figure]:
    """Turn by turn, so that both see the same machine."""
    if not node_is_there():
        raise LeftOut("Node.js and npm are not installed")
    async with signed_in(run) as (server, api, clients), relay() as theirs:
        session_id = await session(api)
        sides: list[Side] = [(server, clients), (theirs, Clients(theirs.port, "any"))]
        figures = []
        with one_core(server.pid, theirs.pid):
            for in_flight in (1, 32):
                work = calling(in_flight)
                figures += await contest(run, f"RPC, {in_flight} in flight", work, sides, unit="calls/s")
            for size in CROWDS:
                work = broadcasting(session_id, size)
                name = f"fan-out to {size}"
                figures += await contest(run, name, work, sides, unit="deliveries/s", of_each=size)
            sessions = [await session(api) for _ in range(BEATING)]
            name = f"session-alive of {BEATING} sessions at a phone"
            figures += await contest(run, name, heartbeats(sessions), sides, unit="events/s")
            figures += await contest_of_arrivals(sides)
        return figures


def calling(in_flight: int) -> Work:
    return lambda load, clients: rpc(load, clients, clients, in_flight)


def broadcasting(session_id: str, size: int) -> Work:
    async def work(load: Load, clients: Clients) -> Sequence[Caller]:
        return [await crowd(load, clients, session_id, size)]

    return work


def heartbeats(sessions: Sequence[str]) -> Work:
    return lambda load, clients: beating(load, clients, sessions)


async def contest_of_arrivals(sides: Sequence[Side]) -> list[Figure]:
    """How many clients that come at once are let in per second, in turns; the middle of several."""
    turns: list[list[Figure]] = [[] for _ in sides]
    name = f"{ARRIVALS} connections at once"
    names = (f"{name}, on one core", f"{name}, Node's socket.io")
    for _ in range(ARRIVAL_TURNS):
        for (server, clients), title, seen in zip(sides, names, turns, strict=True):
            elapsed, cpu, _ = await arrive(server, clients, ARRIVALS)
            rate, cost = ARRIVALS / elapsed, cpu / ARRIVALS * 1e6
            seen.append(Figure(name=title, value=rate, unit="clients/s", cpu_us=cost))
    ours, theirs = (sorted(seen, key=lambda figure: figure.value)[ARRIVAL_TURNS // 2] for seen in turns)
    ratio = ours.value / theirs.value
    return [ours, theirs, Figure(name=f"{name}, ours over theirs", value=ratio, unit=RATIO, aim=Aim(1.0))]


async def contest(
    run: Run, name: str, work: Work, sides: Sequence[Side], *, unit: str, of_each: int = 1
) -> list[Figure]:
    """The best of a few short turns of each, and how much better ours is."""
    turns: list[list[Figure]] = [[] for _ in sides]
    names = (f"{name}, on one core", f"{name}, Node's socket.io")
    for _ in range(TURNS):
        for side, title, seen in zip(sides, names, turns, strict=True):
            server, clients = side
            load = Load(server, run.seconds / TURNS)
            callers = await work(load, clients)
            seen.append(await load.run(title, callers, unit=unit, of_each=of_each))
            clients.close()
    ours, theirs = map(best, turns)
    ratio = ours.value / theirs.value
    return [ours, theirs, Figure(name=f"{name}, ours over theirs", value=ratio, unit=RATIO, aim=Aim(1.0))]
