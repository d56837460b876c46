"""Events and remote calls between sockets."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from tests.bench.clients import Clients
from tests.bench.figures import Aim, Figure
from tests.bench.http_scenarios import CONTENT, session, token
from tests.bench.load import Load
from tests.bench.realtime_callers import WINDOW, Sender, alive, crowd, rpc
from tests.bench.server import MeasuredServer, Run, allow_connections
from tests.support.api_client import ApiClient

CROWDS = (20, 500)
BEATING = 100
OTHERS = 1500
SID = b'"sid":"'
ID = b'"id":"'


@asynccontextmanager
async def signed_in(run: Run) -> AsyncIterator[tuple[MeasuredServer, ApiClient, Clients]]:
    """One server, one account, and its sockets."""
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        yield server, api, Clients(server.port, token(api))


async def message_one_sender(run: Run) -> list[Figure]:
    return [await messages(run, "socket message to update, 1 sender", 1)]


async def message_many_senders(run: Run) -> list[Figure]:
    return [await messages(run, "socket message to update, 32 senders", 32)]


async def messages(run: Run, name: str, senders: int) -> Figure:
    """Sockets of as many sessions write, one socket of the user reads."""
    async with signed_in(run) as (server, api, clients):
        load = Load(server, run.seconds)
        by_session: dict[bytes, Sender] = {}
        for _ in range(senders):
            session_id = await session(api)
            packet = f'2["message",{{"sid":"{session_id}","message":"{CONTENT}"}}]'
            socket = await clients.session(session_id)
            by_session[session_id.encode()] = Sender(load, socket, packet.encode())
        await hear(clients, b'2["update"', SID, by_session)
        return await load.run(name, list(by_session.values()), unit="msg/s")


async def session_alive(run: Run) -> list[Figure]:
    return [await beats(run, f"session-alive flood of {BEATING} sessions at a phone")]


async def session_alive_in_a_crowd(run: Run) -> list[Figure]:
    """The account has many more sockets, of sessions that say nothing: nobody should notice them."""
    allow_connections(OTHERS + BEATING)
    name = f"session-alive flood of {BEATING} sessions, {OTHERS:,} other sockets"
    return [await beats(run, name, others=OTHERS)]


async def beats(run: Run, name: str, *, others: int = 0) -> Figure:
    """Every session says again that it is alive as soon as the phone has heard it: all it can take."""
    async with signed_in(run) as (server, api, clients):
        load = Load(server, run.seconds)
        for number in range(others):
            await clients.session(f"other-{number}")
        senders = await beating(load, clients, [await session(api) for _ in range(BEATING)])
        return await load.run(name, senders, unit="events/s")


async def beating(load: Load, clients: Clients, sessions: Sequence[str]) -> list[Sender]:
    by_session: dict[bytes, Sender] = {}
    for session_id in sessions:
        socket = await clients.session(session_id)
        by_session[session_id.encode()] = Sender(load, socket, alive(session_id))
    await hear(clients, b'2["ephemeral"', ID, by_session)
    return list(by_session.values())


class Awaiting(Protocol):
    def arrived(self) -> None: ...


async def hear(clients: Clients, event: bytes, key: bytes, by_session: Mapping[bytes, Awaiting]) -> None:
    """A socket of the user tells each sender what has come of its packet."""
    phone = await clients.user()

    def on_packet(packet: bytes) -> None:
        if packet.startswith(event):
            sender = by_session.get(packet.partition(key)[2].partition(b'"')[0])
            if sender is not None:  # the news of a new session may arrive late from another replica
                sender.arrived()

    phone.on_packet = on_packet


async def fan_out(run: Run) -> list[Figure]:
    figures = []
    for size in CROWDS:
        async with signed_in(run) as (server, api, clients):
            load = Load(server, run.seconds)
            sending = await crowd(load, clients, await session(api), size)
            name = f"fan-out to {size} sockets, {WINDOW} in flight"
            figures.append(await load.run(name, [sending], unit="deliveries/s", of_each=size))
    return figures


async def rpc_one(run: Run) -> list[Figure]:
    return [await calls(run, "RPC round trip, 1 in flight", 1)]


async def rpc_many(run: Run) -> list[Figure]:
    return [await calls(run, "RPC round trip, 32 in flight", 32, Aim(4000))]


async def calls(run: Run, name: str, in_flight: int, aim: Aim | None = None) -> Figure:
    async with signed_in(run) as (server, _, clients):
        load = Load(server, run.seconds)
        callers = await rpc(load, clients, clients, in_flight)
        return await load.run(name, callers, unit="calls/s", aim=aim)
