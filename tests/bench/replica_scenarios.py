"""Two replicas: what changes when the other end of an event or a call is connected to another one."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from tests.bench.clients import Clients
from tests.bench.figures import Aim, Figure, best
from tests.bench.http_caller import Poster, connect_as
from tests.bench.http_scenarios import posts, session, token
from tests.bench.load import Caller, Load
from tests.bench.realtime_callers import rpc
from tests.bench.realtime_scenarios import SID, hear
from tests.bench.server import Run, Together
from tests.support.api_client import ApiClient

IN_FLIGHT = (1, 32)
TURNS = 3
CROSSING = {1: Aim(3.0, at_least=False, of="p50"), 32: Aim(2500)}


class Ends:
    """The sockets of one account where it speaks, and where it is heard."""

    def __init__(self, api: ApiClient, near: int, far: int) -> None:
        self.api = api
        self.near = Clients(near, token(api))
        self.far = Clients(far, token(api))

    def close(self) -> None:
        self.near.close()
        self.far.close()


Work = Callable[[Load, Ends], Awaitable[Sequence[Caller]]]


@asynccontextmanager
async def replicas(run: Run) -> AsyncIterator[tuple[Together, Ends, Ends]]:
    """An account with both ends at one replica, and one with an end at each."""
    async with (
        run.servers(2) as (one, other),
        ApiClient.signed_in(one.url) as here,
        ApiClient.signed_in(one.url) as apart,
    ):
        yield Together(one, other), Ends(here, one.port, one.port), Ends(apart, one.port, other.port)


async def updates(run: Run) -> list[Figure]:
    """From a message over HTTP to its update at a socket."""
    figures = []
    async with replicas(run) as (both, here, apart):
        for in_flight in IN_FLIGHT:
            name, work = f"POST to update, {in_flight} in flight", partial(posting, in_flight)
            figures += await turns(run, both, name, work, here, apart, unit="msg/s")
    return figures


async def calls(run: Run) -> list[Figure]:
    figures = []
    async with replicas(run) as (both, here, apart):
        for in_flight in IN_FLIGHT:
            name, work, aim = f"RPC, {in_flight} in flight", partial(calling, in_flight), CROSSING[in_flight]
            figures += await turns(run, both, name, work, here, apart, unit="calls/s", aim=aim)
    return figures


async def posting(in_flight: int, load: Load, ends: Ends) -> Sequence[Caller]:
    by_session: dict[bytes, Poster] = {}
    for _ in range(in_flight):
        session_id = await session(ends.api)
        requests = posts(session_id, ends.near.token, 1)
        by_session[session_id.encode()] = await connect_as(Poster, load, ends.near.port, requests)
    await hear(ends.far, b'2["update"', SID, by_session)
    return list(by_session.values())


async def calling(in_flight: int, load: Load, ends: Ends) -> Sequence[Caller]:
    return await rpc(load, ends.near, ends.far, in_flight)


async def turns(
    run: Run,
    both: Together,
    name: str,
    work: Work,
    here: Ends,
    apart: Ends,
    *,
    unit: str,
    aim: Aim | None = None,
) -> list[Figure]:
    """The best of a few short turns of each, one after the other."""
    sides = ((here, f"{name}, one replica", None), (apart, f"{name}, across replicas", aim))
    seen: list[list[Figure]] = [[], []]
    for _ in range(TURNS):
        for (ends, title, aimed), figures in zip(sides, seen, strict=True):
            load = Load(both, run.seconds / TURNS)
            callers = await work(load, ends)
            figures.append(await load.run(title, callers, unit=unit, aim=aimed))
            ends.close()
    return [best(figures) for figures in seen]
