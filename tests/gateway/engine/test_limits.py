"""Time-outs, sizes and bounded queues."""

import asyncio
import contextlib

import pytest
from websockets.exceptions import ConnectionClosed

from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import Poller, RawWebSocket, Running
from tests.support.until import until


async def test_a_client_that_answers_pings_stays(serve: Serve) -> None:
    server = await serve(ping_interval=0.05, ping_timeout=0.1)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        for _ in range(6):
            assert await socket.receive() == "2"
            await socket.send("3")

        assert server.application.left == []


async def test_a_client_that_does_not_answer_pings_is_dropped(serve: Serve) -> None:
    server = await serve(ping_interval=0.05, ping_timeout=0.1)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        assert await socket.drain() == ["2"]
    await until(lambda: server.application.reasons() == ["ping timeout"])


async def test_a_client_that_sends_packets_without_pongs_gets_more_time(serve: Serve) -> None:
    server = await serve(ping_interval=0.05, ping_timeout=0.1)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        assert await socket.receive() == "2"
        await asyncio.sleep(0.05)  # within the time for a pong
        await socket.send('421["echo",1]')
        await asyncio.sleep(0.1)  # and now beyond it
        assert server.application.left == []
        assert await socket.drain() == ["431[1]"]


async def test_a_pong_behind_a_slow_event_is_waited_for(serve: Serve) -> None:
    async def slow(*_: object) -> None:
        await asyncio.sleep(0.4)  # longer than a pong may take

    server = await serve(ping_interval=0.05, ping_timeout=0.1)
    server.application.on["slow"] = slow
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('42["slow"]')
        assert await socket.receive() == "2"
        await socket.send("3", '421["echo",1]')
        assert await socket.receive() == "431[1]"


async def test_a_poller_that_stops_polling_is_dropped(serve: Serve) -> None:
    server = await serve(ping_interval=0.2, ping_timeout=0.3)
    async with Poller(server.url) as poller:
        await poller.join()
        await until(lambda: server.application.reasons() == ["ping timeout"])
        assert (await poller.request("GET")).json()["code"] == 1


async def test_a_message_of_the_announced_size_passes(serve: Serve) -> None:
    server = await serve(max_payload=3_000_000)
    text = "x" * (3_000_000 - len('421["echo",""]'))
    async with RawWebSocket(server.url) as socket, Poller(server.url) as poller:
        await socket.join()
        await socket.send(f'421["echo","{text}"]')
        assert await socket.receive() == f'431["{text}"]'
        await poller.join()
        await poller.post(f'421["echo","{text}"]')
        assert await poller.get() == f'431["{text}"]'


@pytest.mark.parametrize("character", ["x", "é", "😀"])
async def test_a_larger_message_drops_a_websocket_unprocessed(serve: Serve, character: str) -> None:
    server = await serve(max_payload=1000)
    text = character * (1000 // len(character.encode()))
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send(f'42["big","{text}"]')
        await socket.closed()
    await until(lambda: server.application.log == ["connect", "disconnected: transport close"])


async def test_a_stranger_may_not_send_as_much_as_a_client(serve: Serve) -> None:
    server = await serve(max_payload_untrusted=1000)
    large = '40{"token":"' + "x" * 1000 + '"}'
    async with RawWebSocket(server.url) as socket, Poller(server.url) as poller:
        await socket.open()
        await socket.send(large)
        await socket.closed()
        await poller.open()
        assert (await poller.request("POST", large)).status_code == 413
    assert server.application.log == []

    async with RawWebSocket(server.url) as joined:
        await joined.join()
        await joined.send(f'421["echo","{"x" * 5000}"]')
        assert await joined.receive() == f'431["{"x" * 5000}"]'


async def test_a_larger_frame_than_any_may_be_drops_the_connection(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        with contextlib.suppress(ConnectionClosed):
            await socket.send('42["big","' + "x" * 16_000_000 + '"]')
        await socket.closed()
    await until(lambda: server.application.log == ["connect", "disconnected: transport close"])


@pytest.mark.parametrize("declared", [True, False])
async def test_a_larger_body_drops_a_polling_session_unprocessed(serve: Serve, declared: bool) -> None:
    server = await serve(max_payload=1000)
    body = b'42["big","' + b"x" * 1000 + b'"]'

    async def chunks() -> object:
        yield body[:500]
        yield body[500:]

    async with Poller(server.url) as poller:
        await poller.join()
        refused = await poller.request("POST", body if declared else chunks())  # type: ignore[arg-type]
        gone = await poller.request("GET")

    assert refused.status_code == 413
    assert gone.json()["code"] == 1
    assert server.application.log == ["connect", "disconnected: transport error"]


@pytest.mark.parametrize("settings", [{"queue_packets": 50}, {"queue_bytes": 1_000_000}])
async def test_a_client_that_does_not_read_is_dropped(
    serve: Serve, settings: dict[str, float], caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(**settings)
    async with RawWebSocket(server.url) as slow, RawWebSocket(server.url) as other:
        await slow.join()
        await other.join()
        slow.websocket.transport.pause_reading()
        held = server.application.sockets[0]
        for _ in range(400):
            held.emit("update", b'"' + b"x" * 50_000 + b'"')
            await asyncio.sleep(0)
            if held.closed:
                break
        assert held.closed
        assert server.connection()._queue is None
        await until(lambda: server.application.reasons() == ["send queue overflow"])
        await other.send('421["echo",1]')
        assert await other.receive() == "431[1]"
        slow.websocket.transport.resume_reading()
        await slow.drain()

    assert server.engine.closed["send queue overflow"] == 1
    assert "reads too slowly" in caplog.text


async def test_a_client_that_reads_slowly_gets_everything_in_order(serve: Serve) -> None:
    server = await serve(queue_bytes=30_000_000)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        socket.websocket.transport.pause_reading()
        held = server.application.sockets[0]
        for number in range(300):
            held.emit("n", f'[{number},"{"x" * 50_000}"]'.encode())
        await until(lambda: server.connection().has_queue)
        socket.websocket.transport.resume_reading()
        received = [await socket.receive() for _ in range(300)]

    assert [packet[:12] for packet in received] == [f'42["n",[{number},"xxxx'[:12] for number in range(300)]


async def test_one_large_packet_may_wait_behind_small_ones(serve: Serve) -> None:
    server = await serve(queue_bytes=100_000)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        socket.websocket.transport.pause_reading()
        held = server.application.sockets[0]
        while not server.connection().has_queue:
            held.emit("fill", b'"' + b"x" * 50_000 + b'"')
            await asyncio.sleep(0)
        held.emit("large", b'"' + b"x" * 5_000_000 + b'"')
        assert not held.closed
        socket.websocket.transport.resume_reading()
        while not (packet := await socket.receive()).startswith('42["large"'):
            pass
        assert len(packet) > 5_000_000


async def test_a_poller_that_does_not_poll_is_dropped(serve: Serve) -> None:
    server = await serve(queue_packets=50)
    async with Poller(server.url) as poller:
        await poller.join()
        held = server.application.sockets[0]
        for number in range(60):
            held.emit("n", str(number).encode())
        assert held.closed
    await until(lambda: server.application.reasons() == ["send queue overflow"])


async def test_too_many_packets_while_connecting_drop_the_client(serve: Serve) -> None:
    server = await serve(queue_packets=50)

    async def admit(socket: object, _: object) -> None:
        for _number in range(60):
            socket.emit("n", b"1")  # type: ignore[attr-defined]

    server.application.admit = admit
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send("40")
        await socket.closed()
    await until(lambda: server.application.reasons() == ["send queue overflow"])
