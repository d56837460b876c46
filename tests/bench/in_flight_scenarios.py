"""One connection with many messages in flight, beside as many connections with one each."""

from collections import defaultdict
from statistics import median

from tests.bench.clients import Clients
from tests.bench.figures import RATIO, Aim, Figure
from tests.bench.http_scenarios import CONTENT, session
from tests.bench.load import Load
from tests.bench.realtime_callers import WINDOW, Sender
from tests.bench.realtime_scenarios import SID, hear, signed_in
from tests.bench.server import Run
from tests.support.api_client import ApiClient

TURNS = 7
WRITERS = f"message, {WINDOW} senders"
WINDOWS = (WINDOW, 4 * WINDOW)


async def against_writers(run: Run) -> list[Figure]:
    """In turns on one server; ratios are the median of those of neighbouring turns."""
    by_name: dict[str, list[Figure]] = defaultdict(list)
    sides = [(WRITERS, WINDOW, 1), *((_one(window), 1, window) for window in WINDOWS)]
    async with signed_in(run) as (server, api, clients):
        for _ in range(TURNS):
            for name, senders, in_flight in sides:
                load = Load(server, run.seconds / TURNS)
                by_name[name].append(await messages(load, name, api, clients, (senders, in_flight)))
                clients.close()
    figures = [sorted(turns, key=lambda figure: figure.value)[TURNS // 2] for turns in by_name.values()]
    return figures + [_ratio(by_name[_one(window)], by_name[WRITERS], window) for window in WINDOWS]


async def messages(load: Load, name: str, api: ApiClient, clients: Clients, shape: tuple[int, int]) -> Figure:
    """Sockets of as many sessions write, one of the user reads. `shape`: senders, messages in flight."""
    senders, in_flight = shape
    by_session: dict[bytes, Sender] = {}
    for _ in range(senders):
        session_id = await session(api)
        packet = f'2["message",{{"sid":"{session_id}","message":"{CONTENT}"}}]'
        socket = await clients.session(session_id)
        by_session[session_id.encode()] = Sender(load, socket, packet.encode(), in_flight)
    await hear(clients, b'2["update"', SID, by_session)
    return await load.run(name, list(by_session.values()), unit="msg/s")


def _one(in_flight: int) -> str:
    return f"message, 1 sender with {in_flight} in flight"


def _ratio(one: list[Figure], writers: list[Figure], window: int) -> Figure:
    ratio = median(each.value / other.value for each, other in zip(one, writers, strict=True))
    name = f"1 sender with {window} in flight over {WINDOW} senders"
    return Figure(name=name, value=ratio, unit=RATIO, aim=Aim(1.0))
