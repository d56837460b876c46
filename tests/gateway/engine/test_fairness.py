"""One client that sends as fast as it can does not keep the others waiting."""

import asyncio
import contextlib
import itertools
import time
from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from happy.gateway.engine import Ack, Socket
from happy.gateway.engine.context import PUSHED_AT_ONCE
from tests.gateway.engine.harness import Poller, RawWebSocket, Running
from tests.support.until import until

BURST = 300
COST = 0.001  # seconds
SOME_BYTES = 20_000
READ_BYTES = 256_000  # that the event loop reads at once


def occupy(server: Running) -> list[int]:
    """An event that keeps the event loop busy; the packets handled so far, at each of the others' events."""
    seen: list[int] = []

    def work(*_: Any) -> None:
        end = time.perf_counter() + COST
        while time.perf_counter() < end:
            pass

    def look(socket: Socket, args: list[Any], ack: Ack | None) -> None:
        seen.append(len(server.application.events))
        assert ack is not None
        ack(b"")

    async def work_inside(*_: Any) -> None:
        """A handler that could wait, and need not."""
        work()

    server.application.on |= {"work": work, "work-inside": work_inside, "look": look}
    return seen


@pytest.mark.parametrize("name", ["work", "work-inside"])
@pytest.mark.parametrize("transport", ["websocket", "polling"])
async def test_a_burst_of_one_client_lets_others_have_their_turn(
    server: Running, transport: str, name: str
) -> None:
    seen = occupy(server)
    async with (
        RawWebSocket(server.url) as greedy,
        Poller(server.url) as poller,
        RawWebSocket(server.url) as other,
    ):
        await greedy.join()
        await poller.join()
        await other.join()
        packets = [f'42["{name}"]'] * BURST
        posting = None
        if transport == "websocket":
            greedy.websocket.transport.write(_frames(packets))
        else:
            posting = asyncio.create_task(poller.post(*packets))
        while len(seen) < 10:
            await other.send('421["look"]')
            await other.receive()
        await until(lambda: server.application.names().count(name) == BURST)
        if posting is not None:
            await posting

    assert seen[-1] < BURST
    assert max(after - before for before, after in itertools.pairwise(seen)) < BURST / 5


async def test_what_arrives_fast_is_processed_in_parts(server: Running) -> None:
    """The event loop reads from a peer up to 32 times in one iteration, 8 MB, while there is more."""
    handled = [0]  # in each iteration

    def count(*_: Any) -> None:
        if not handled[-1]:
            asyncio.get_running_loop().call_soon(handled.append, 0)
        handled[-1] += 1

    server.application.on["count"] = count
    packets = [f'42["count","{"x" * SOME_BYTES}"]'] * BURST
    async with RawWebSocket(server.url) as greedy:
        await greedy.join()
        greedy.websocket.transport.write(_frames(packets))
        await until(lambda: sum(handled) == BURST)

    assert max(handled) <= 2 * READ_BYTES / SOME_BYTES


async def test_heartbeats_for_hundreds_of_sockets_are_written_in_parts(server: Running) -> None:
    """An account with 300 sockets and a flood of heartbeats: writing to all took 4 ms in each iteration."""
    context = server.engine._context
    written: list[int] = []  # in each iteration

    class Websocket:
        def push(self) -> None:
            written[-1] += 1

    for _ in range(3 * PUSHED_AT_ONCE):
        context.push_at_end(Websocket())
    while sum(written) < 3 * PUSHED_AT_ONCE:
        written.append(0)
        await asyncio.sleep(0)

    assert max(written) == PUSHED_AT_ONCE


async def test_what_a_client_sent_before_it_left_is_handled_first(server: Running) -> None:
    occupy(server)
    async with RawWebSocket(server.url) as greedy:
        await greedy.join()
        greedy.websocket.transport.write(_frames(['42["work",1]'] * BURST + ['42["last"]']))
        greedy.websocket.transport.write_eof()
        await until(lambda: server.application.reasons() == ["transport close"])

    assert server.application.log[-2:] == ["last", "disconnected: transport close"]


def _frames(packets: list[str]) -> bytes:
    """As one piece: all of it is there when the server reads."""
    return b"".join(Frame(Opcode.TEXT, packet.encode()).serialize(mask=True) for packet in packets)


async def test_many_busy_clients_take_no_more_turns_than_one(server: Running) -> None:
    seen = occupy(server)
    async with contextlib.AsyncExitStack() as stack:
        other, *greedy = [await stack.enter_async_context(RawWebSocket(server.url)) for _ in range(13)]
        for socket in (other, *greedy):
            await socket.join()
        for socket in greedy:
            socket.websocket.transport.write(_frames(['42["work"]'] * BURST))
        while not seen or seen[-1] < 12 * BURST // 2:
            await other.send('421["look"]')
            while await other.receive() == "2":
                await other.send("3")

    between = sorted(after - before for before, after in itertools.pairwise(seen))
    assert between[len(between) // 2] < 12, between
