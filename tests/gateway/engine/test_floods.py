"""What is no message has a limit: a peer beyond it is closed, and nothing more of it is read."""

from typing import Any

import pytest
from websockets.frames import Frame, Opcode

from happy.gateway.engine import frames
from happy.gateway.engine.connection import Connection
from happy.gateway.engine.flood import MAX_CONNECTS, MAX_CONTROL, MAX_TINY_FRAGMENTS, ControlBudget
from tests.gateway.engine.harness import Poller, RawWebSocket, Running
from tests.support.until import until


async def close_code(socket: RawWebSocket) -> int | None:
    await socket.drain()
    return socket.websocket.close_code


@pytest.mark.parametrize("joined", [True, False])
@pytest.mark.parametrize("opcode", [Opcode.PING, Opcode.PONG])
async def test_a_flood_of_control_frames_closes_the_websocket(
    server: Running, opcode: Opcode, joined: bool
) -> None:
    async with RawWebSocket(server.url) as socket:
        await (socket.join() if joined else socket.open())
        socket.websocket.transport.write(Frame(opcode, b"x").serialize(mask=True) * (MAX_CONTROL + 1))

        assert frames.CLOSE_POLICY == await close_code(socket)
    await until(lambda: server.application.reasons() == ["transport close"] * joined)
    assert server.refusals.counts == {"control_frames": 1}


async def test_as_many_control_frames_as_clients_send_do_no_harm(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        socket.websocket.transport.write(Frame(Opcode.PING, b"x").serialize(mask=True) * (MAX_CONTROL // 2))
        await socket.send('421["echo",1]')

        assert await socket.receive() == "431[1]"
    assert not server.refusals.counts


@pytest.mark.parametrize("packet", ["3", "5", "6"])
async def test_a_flood_of_packets_without_a_message_closes_the_connection(
    server: Running, packet: str
) -> None:
    async with RawWebSocket(server.url) as socket, Poller(server.url) as poller:
        await socket.join()
        await poller.join()
        for _ in range(MAX_CONTROL + 1):
            await socket.send(packet)
        await socket.closed()
        refused = await poller.request("POST", "\x1e".join([packet] * (MAX_CONTROL + 1)))

    assert refused.status_code == 400
    await until(lambda: server.application.reasons() == ["parse error"] * 2)
    assert server.refusals.counts == {"control_packets": 2}


async def test_a_budget_is_for_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("happy.gateway.engine.flood.time.monotonic", lambda: now)
    budget = ControlBudget()
    assert not any(budget.is_exceeded() for _ in range(MAX_CONTROL))
    now = 109.0
    assert budget.is_exceeded()
    now = 111.0
    assert not any(budget.is_exceeded() for _ in range(MAX_CONTROL))
    assert budget.is_exceeded()


async def test_pongs_that_answer_no_ping_delay_no_ping(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        timer = server.connection()._timer
        await socket.send("3", '421["echo",1]')
        await socket.receive()

        assert server.connection()._timer is timer


async def test_clients_may_try_to_connect_several_times_and_not_for_ever(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        for _ in range(MAX_CONNECTS):
            await socket.send("40/unknown,")
            assert (await socket.receive()).startswith("44/unknown,")
        await socket.send("40/unknown,")
        await socket.closed()

    assert server.refusals.counts == {"connect_packets": 1, "handshakes": MAX_CONNECTS}


async def test_leaving_and_joining_again_and_again_ends_the_connection(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        for _ in range(MAX_CONNECTS - 1):
            await socket.send("41", "40")
            await socket.receive()
        await socket.send("41", "40")
        await socket.closed()

    assert MAX_CONNECTS == len(server.application.sockets)


async def test_nothing_is_read_behind_an_error(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        link: Any = server.connection().transport
        data = Frame(Opcode.TEXT, b"9").serialize(mask=True)
        more = Frame(Opcode.TEXT, b'42["late"]').serialize(mask=True)
        socket.websocket.transport.write(data + more * 10)
        await until(lambda: server.application.reasons() == ["parse error"])

        assert not link._tcp.is_reading() or link._tcp.is_closing()
        assert link._reader.rest == b""
    assert server.application.events == []


async def test_a_flood_behind_a_close_is_not_read_for_ever(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        link: Any = server.connection().transport
        data = Frame(Opcode.TEXT, b"1").serialize(mask=True)
        more = Frame(Opcode.TEXT, b'42["late"]').serialize(mask=True)
        socket.websocket.transport.write(data + more * (MAX_CONTROL + 1))
        await until(lambda: server.refusals.counts == {"control_frames": 1})

        assert not link._tcp.is_reading() or link._tcp.is_closing()
        assert await close_code(socket) == frames.CLOSE_NORMAL
    assert server.application.reasons() == ["transport close"]
    assert server.application.events == []


@pytest.mark.parametrize("content", [b"", b"x"])
async def test_tiny_fragments_without_end_close_the_websocket(server: Running, content: bytes) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        first = Frame(Opcode.TEXT, b"4", fin=False).serialize(mask=True)
        further = Frame(Opcode.CONT, content, fin=False).serialize(mask=True)
        socket.websocket.transport.write(first + further * (MAX_TINY_FRAGMENTS + 100))

        assert frames.CLOSE_TOO_LARGE == await close_code(socket)


async def test_a_large_message_may_come_in_small_fragments(server: Running) -> None:
    pieces = [b'421["echo","', *[b"x" * 512] * 4000, b'"]']

    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.websocket.send(piece.decode() for piece in pieces)

        assert len(await socket.receive()) == 4000 * 512 + len('431[""]')


async def test_an_attachment_has_one_placeholder(server: Running) -> None:
    """Its text in many positions would be many times what the peer sent."""
    placeholder = '{"_placeholder":true,"num":0}'
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send(f'451-["echo",{placeholder},{placeholder}]', b"x" * 1000)
        await socket.closed()

    assert server.application.events == []


async def test_a_handshake_that_is_never_finished_keeps_little(server: Running) -> None:
    """Headers of 60 KB were kept for each, until the time for the CONNECT packet was over."""
    head = {"User-Agent": "x" * 30_000, "Cookie": "x" * 20_000, "X-Forwarded-For": "x" * 8_000}
    async with Poller(server.url) as poller:
        answer = await poller.http.get(poller.url, params=poller.query, headers=head)
        assert answer.status_code == 200
        (connection,) = server.engine._context.connections.values()

        assert isinstance(connection, Connection)
        kept = sum(len(name) + len(value) for name, value in connection.headers)
        assert kept < 1000
        assert isinstance(connection.client_address.text, str)
