"""What all connections together may hold, and clients that never take what waits for them."""

import asyncio

import pytest
from websockets.frames import Frame, Opcode

from happy.gateway.engine.memory import SharedBytes
from happy.services.refusals import RefusalKind, Refusals
from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import PATH, Poller, RawWebSocket, Running
from tests.support.until import until

LARGE = b'"' + b"x" * 100_000 + b'"'


class Holder:
    def __init__(self) -> None:
        self.gave_up = False

    def give_up(self) -> None:
        self.gave_up = True


async def test_the_holder_of_most_bytes_gives_up() -> None:
    shared = SharedBytes(100, RefusalKind.SLOW_READERS, refusals := Refusals())
    small, large = Holder(), Holder()
    shared.hold(large, 70)
    shared.hold(small, 30)
    assert not shared.is_exceeded()
    shared.hold(small, 31)
    assert shared.is_exceeded()
    shared.close_largest()

    assert (True, False) == (large.gave_up, small.gave_up)
    assert 31 == shared.total
    assert {"slow_readers": 1} == refusals.counts


async def test_the_message_that_began_first_makes_room() -> None:
    shared = SharedBytes(200_000, RefusalKind.INCOMPLETE_MESSAGES, Refusals())
    first, second, tiny = Holder(), Holder(), Holder()
    shared.hold_part(tiny, 1000)
    shared.hold_part(first, 80_000)
    shared.hold_part(second, 100_000)
    assert 180_000 == shared.total
    shared.hold_part(second, 130_000)

    assert (True, False, False) == (first.gave_up, second.gave_up, tiny.gave_up)
    shared.hold_part(second, 0)
    assert 0 == shared.total


async def test_pollers_that_do_not_poll_are_closed_before_they_fill_the_memory(server: Running) -> None:
    server.engine._context.unsent._most = 1_000_000
    async with Poller(server.url) as greedy, Poller(server.url) as other:
        await greedy.join()
        await other.join()
        held, modest = server.application.sockets
        modest.emit("n", LARGE)
        for _ in range(15):
            held.emit("n", LARGE)

        assert held.closed
        assert not modest.closed
        assert len(await other.get()) > len(LARGE)
    assert server.refusals.counts == {"slow_readers": 1}
    assert server.engine._context.unsent.total == 0


async def test_halves_of_the_bodies_of_pollers_filled_the_memory(server: Running) -> None:
    server.engine._context.incomplete._most = 1_000_000
    async with Poller(server.url) as first, Poller(server.url) as second:
        await first.join()
        await second.join()
        writers = []
        for poller in (first, second):
            writers.append(await _half_of_a_body(server, poller))
            await until(lambda: server.engine._context.incomplete.total >= 500_000)

        await until(lambda: server.application.reasons() == ["transport error"])
        await until(lambda: server.engine._context.incomplete.total <= 700_000)
        writers[1].write(b"x" * 100_000)
        await until(lambda: server.engine._context.incomplete.total == 0)
        for writer in writers:
            writer.close()
    assert server.refusals.counts == {"incomplete_messages": 1}


async def _half_of_a_body(server: Running, poller: Poller) -> asyncio.StreamWriter:
    """600 KB of 700 KB that are announced."""
    _, writer = await asyncio.open_connection("127.0.0.1", server.port)
    head = f"POST {PATH}?EIO=4&transport=polling&sid={poller.sid} HTTP/1.1\r\nHost: x\r\n"
    writer.write(head.encode() + b"Content-Length: 700000\r\n\r\n" + b"6" + b"x" * 599_999)
    return writer


async def test_halves_of_large_messages_are_bounded_in_all(server: Running) -> None:
    server.engine._context.incomplete._most = 1_000_000
    async with RawWebSocket(server.url) as first, RawWebSocket(server.url) as second:
        await first.join()
        await second.join()
        half = Frame(Opcode.TEXT, b"42" + b"x" * 1_000_000).serialize(mask=True)[:600_000]
        first.websocket.transport.write(half)
        await until(lambda: server.engine._context.incomplete.total > 500_000)
        second.websocket.transport.write(half)
        await first.drain()

        assert [True, False] == [socket.closed for socket in server.application.sockets]
        assert 500_000 < server.engine._context.incomplete.total <= 600_000
    await until(lambda: server.engine._context.incomplete.total == 0)
    assert server.refusals.counts == {"incomplete_messages": 1}


async def test_packets_that_waited_for_their_attachments_filled_the_memory(server: Running) -> None:
    server.engine._context.incomplete._most = 1_000_000
    async with RawWebSocket(server.url) as first, RawWebSocket(server.url) as second:
        for socket in (first, second):
            await socket.join()
            await socket.send('452-["note"]', b"x" * 600_000)
            await until(lambda: server.engine._context.incomplete.total >= 600_000)

        await first.drain()
        assert [True, False] == [socket.closed for socket in server.application.sockets]
        await second.send(b"x")
        await until(lambda: server.engine._context.incomplete.total == 0)
    assert server.refusals.counts == {"incomplete_messages": 1}


async def test_a_large_packet_that_announced_attachments_was_kept_until_they_came(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('451-["note","' + "x" * 3_000_000 + '"]')
        await until(lambda: server.application.reasons() == ["parse error"])


async def test_a_large_message_that_is_complete_counts_no_more(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('421["echo","' + "x" * 3_000_000 + '"]')
        await socket.receive()

    assert server.engine._context.incomplete.total == 0


async def test_a_client_that_answers_pings_but_takes_nothing_is_closed(serve: Serve) -> None:
    """It kept what waited for it in memory for ever."""
    server = await serve(ping_interval=0.1, ping_timeout=0.5)
    async with Poller(server.url) as poller:
        await poller.join()
        held = server.application.sockets[0]
        held.emit("n", b"1")

        async def answer_pings() -> None:
            while not held.closed:
                await poller.request("POST", "3")
                await asyncio.sleep(0.05)  # a pace

        async with asyncio.timeout(10):
            await answer_pings()
    await until(lambda: server.application.reasons() == ["send queue overflow"])


async def test_a_client_that_speaks_for_ever_without_a_pong_is_closed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.engine.connection.MAX_PONG_SECONDS", 0.5)
    server = await serve(ping_interval=0.05, ping_timeout=0.1)
    async with RawWebSocket(server.url) as socket:
        await socket.join()

        async with asyncio.timeout(10):
            while not server.application.sockets[0].closed:
                await socket.send('42["note"]')
                await asyncio.sleep(0.02)  # a pace
    await until(lambda: server.application.reasons() == ["ping timeout"])
