"""Events, acknowledgements and their order over a websocket."""

import asyncio
from typing import Any

import pytest

from happy.gateway.engine import Ack, Socket, SocketClosed
from tests.gateway.engine.harness import Poller, RawWebSocket, Running, send_request
from tests.support.until import until


async def test_events_are_handled_in_order_and_acknowledged(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send(*(f'42{number}["echo",{number}]' for number in range(1000)))
        answers = [await socket.receive() for _ in range(1000)]

    assert answers == [f"43{number}[{number}]" for number in range(1000)]
    assert server.application.events == [("echo", [number]) for number in range(1000)]


async def test_a_slow_handler_delays_its_own_client_only(server: Running) -> None:
    released = asyncio.Event()

    async def slow(_: Socket, args: list[Any], ack: Ack | None) -> None:
        await released.wait()
        assert ack is not None
        ack(b'"slow"')

    server.application.on["slow"] = slow
    async with RawWebSocket(server.url) as first, RawWebSocket(server.url) as second:
        await first.join()
        await second.join()
        await first.send('421["slow"]', '422["echo",1]')
        await second.send('421["echo",2]')

        assert await second.receive() == "431[2]"
        assert server.application.names() == ["slow", "echo"]
        released.set()
        assert [await first.receive(), await first.receive()] == ['431["slow"]', "432[1]"]


async def test_events_without_acknowledgement_have_none(server: Running) -> None:
    acks: list[Ack | None] = []
    server.application.on["note"] = lambda _socket, _args, ack: acks.append(ack)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('42["note"]', '42["note",null,"x"]', '420["note"]')
        await until(lambda: len(acks) == 3)

    assert acks[:2] == [None, None]
    assert isinstance(acks[2], Ack)
    assert [args for _, args in server.application.events] == [[], [None, "x"], []]


async def test_an_acknowledgement_is_sent_once(server: Running) -> None:
    def twice(_: Socket, args: list[Any], ack: Ack | None) -> None:
        assert ack is not None
        ack(b"1")
        ack(b"2")

    server.application.on["twice"] = twice
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('421["twice"]', '422["echo"]')
        assert [await socket.receive(), await socket.receive()] == ["431[1]", "432[]"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [('431["x",2]', b'"x"'), ("431[]", None), ("431", None), ("431[null]", b"null")],
)
async def test_a_request_is_answered_by_the_client(
    server: Running, answer: str, expected: bytes | None
) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        future = send_request(server.application.sockets[0])
        assert await socket.receive() == '421["question",{"q":1}]'
        await socket.send("439[1]", answer)
        assert await future == expected


async def test_a_request_fails_at_once_when_the_socket_goes(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        held = server.application.sockets[0]
        pending = send_request(held)
        await socket.receive()
        socket.abort()
        with pytest.raises(SocketClosed):
            await asyncio.wait_for(pending, 1)
        with pytest.raises(SocketClosed):
            await asyncio.wait_for(send_request(held), 1)
        assert held._pending == {}


@pytest.mark.parametrize("gone", [False, True])
async def test_a_request_that_nobody_waits_for_is_forgotten(server: Running, *, gone: bool) -> None:
    answers: list[object] = []
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        held = server.application.sockets[0]
        number = held.request("question", b"1", answers.append)
        if gone:
            held.gone()
        held.cancel_request(number)
        held.cancel_request(number)
        assert held._pending == {}
        await socket.send("431[1]", '421["echo",1]')
        await socket.receive()
        if not gone:
            assert await socket.receive() == "431[1]"
        assert answers == []


async def test_what_arrived_before_the_end_is_still_handled(server: Running) -> None:
    async def slow(*_: Any) -> None:
        await asyncio.sleep(0.02)  # the work of the handler

    server.application.on["session-end"] = slow
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('42["session-end"]', '42["session-end"]', "41")
        await socket.websocket.close()
    await until(lambda: len(server.application.left) == 1)

    expected = ["connect", "session-end", "session-end", "disconnected: client namespace disconnect"]
    assert server.application.log == expected


async def test_a_dropped_link_is_a_transport_close(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('42["last"]')
        await until(lambda: server.application.names() == ["last"])
        socket.abort()
        await until(lambda: len(server.application.left) == 1)

    assert server.application.left == [(socket.id, "transport close")]
    assert server.engine.connection_count == 0


async def test_a_closed_socket_swallows_what_is_sent(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        held = server.application.sockets[0]
        held.close()
        await socket.closed()
        held.send(b"42[]")
        held.emit("late", b"1")
        held.close()

        assert held.closed
    await until(lambda: server.application.reasons() == ["server close"])


async def test_a_failing_handler_harms_nobody(server: Running, caplog: pytest.LogCaptureFixture) -> None:
    def fail(*_: Any) -> None:
        raise RuntimeError("at once")

    async def fail_later(*_: Any) -> None:
        raise RuntimeError("later")

    async def be_cancelled(*_: Any) -> None:
        raise asyncio.CancelledError

    server.application.on |= {"fail": fail, "fail-later": fail_later, "be-cancelled": be_cancelled}
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('421["fail"]', '422["fail-later","secret"]', '423["be-cancelled"]', '424["echo",4]')
        assert await socket.receive() == "434[4]"

    assert len([record for record in caplog.records if record.name == "happy.engine"]) == 3
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    "packet",
    [
        "", "7", "x", "2", "2probe", "0", "4", "49", "42", "42[]", '42["connect"]', '42["a"', "42{}", "43[]",
        "43x[]", "44", '44{"message":"x"}', "40", "40[]", '42/admin,["a"]', "41/admin", "45", '451-["a"',
        '4511-["a"]', "\x1e", "4" * 300,
    ],
)  # fmt: skip
async def test_a_malformed_packet_closes_its_connection_only(
    server: Running, packet: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with RawWebSocket(server.url) as bad, RawWebSocket(server.url) as good:
        await bad.join()
        await good.join()
        await bad.send(packet, '421["echo",1]')
        await bad.closed()
        await good.send('421["echo",1]')
        assert await good.receive() == "431[1]"

    assert server.application.left[0] == (bad.id, "parse error")
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("packet", ['42["echo"]', "43[]", "41", b"x"])
async def test_packets_before_connecting_close_the_connection(server: Running, packet: str | bytes) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send(packet)
        await socket.closed()

    assert server.application.log == []


async def test_harmless_control_packets_are_ignored(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send("6", "5", "3", "42[7]", '421["echo"]')
        assert await socket.receive() == "431[]"


async def test_a_close_packet_ends_the_session(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send("1")
        await socket.closed()
    await until(lambda: server.application.reasons() == ["transport close"])


async def test_binary_arguments_arrive_as_base64(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('452-7["echo",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]')
        await socket.send(b"\x00\xff", b"hello")
        assert await socket.receive() == '437["aGVsbG8=","AP8="]'

        future = send_request(server.application.sockets[0])
        await socket.receive()
        await socket.send('461-1[{"_placeholder":true,"num":0}]', b"hello")
        assert await future == b'"aGVsbG8="'


async def test_binary_may_come_as_text_from_a_client_that_cannot_send_it(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('451-7["echo",{"_placeholder":true,"num":0}]', "baGVsbG8=")
        assert await socket.receive() == '437["aGVsbG8="]'
        await socket.send("b***")
        await socket.closed()


async def test_an_answer_with_attachments_answers_a_request(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        future = send_request(server.application.sockets[0])
        assert await poller.get() == '421["question",{"q":1}]'
        await poller.post('461-1[{"_placeholder":true,"num":0}]', "baGVsbG8=")
        assert await future == b'"aGVsbG8="'


@pytest.mark.parametrize(
    "sent",
    [
        [b"stray"],
        ['451-["echo",{"_placeholder":true,"num":0}]', '42["echo"]'],
        ['451-["echo",{"_placeholder":true,"num":5}]', b"x"],
        ['451-["echo",{"_placeholder":true,"num":0}]', b"x", b"y"],
    ],
)
async def test_broken_binary_packets_close_the_connection(server: Running, sent: list[str | bytes]) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send(*sent)
        await socket.closed()
    await until(lambda: server.application.reasons() == ["parse error"])


async def test_attachments_together_are_limited_like_one_message(serve: Any) -> None:
    server = await serve(max_payload=1000)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('453-["echo"]', b"x" * 600, b"x" * 600)
        await socket.closed()


async def test_pings_are_answered_while_connections_come_and_go(server: Running) -> None:
    async def connect_and_leave() -> None:
        async with RawWebSocket(server.url) as socket:
            await socket.join()
            await socket.send('421["echo",1]')
            assert await socket.receive() == "431[1]"

    await asyncio.gather(*(connect_and_leave() for _ in range(100)))
    await until(lambda: len(server.application.left) == 100)

    assert server.engine.opened["websocket"] == 100
    assert server.engine.closed["transport close"] == 100
    assert server.engine._context.unfinished == 0
