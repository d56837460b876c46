"""The official `socket.io-client`, the newest and the oldest of its protocol, over both transports."""

import asyncio
import time
from functools import partial
from typing import Any

import msgspec
import pytest

from happy.gateway.engine import Ack, Socket, SocketClosed
from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import Running
from tests.support.official_client import NodeClient, OfficialError, OfficialSocket
from tests.support.socket_client import ConnectRefused
from tests.support.until import until

TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


def over(client: NodeClient, server: Running, transports: list[str], **auth: Any) -> OfficialSocket:
    return client.socket(server.url, **auth).with_options(transports=transports)


def emit_back(socket: Socket, args: list[Any], ack: Ack | None) -> None:
    """Ask the client before its own question is answered."""

    def on_response(answer: msgspec.Raw | SocketClosed | None) -> None:
        if ack is not None and not isinstance(answer, SocketClosed):
            ack(bytes(answer or b'"nothing"'))

    socket.request("question", msgspec.json.encode(args[0]), on_response)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_events_and_answers_pass_both_ways(
    server: Running, client: NodeClient, transports: list[str]
) -> None:
    server.application.on["ask"] = emit_back
    async with over(client, server, transports, token="t") as socket:
        assert await socket.call("echo", {"x": "é😀\u0000"}) == {"x": "é😀\u0000"}
        assert await socket.call("echo", b"hello") == "aGVsbG8="
        await socket.answer("question", echo=True)
        assert await socket.call("ask", {"q": 1}) == {"q": 1}
        await socket.answer("question", none=True)
        assert await socket.call("ask", {"q": 1}) == "nothing"
    await until(lambda: server.application.reasons() == ["client namespace disconnect"])

    assert server.application.auths == [{"token": "t"}]


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_a_thousand_events_arrive_in_order_both_ways(
    server: Running, client: NodeClient, transports: list[str]
) -> None:
    def back(socket: Socket, args: list[Any], _: Ack | None) -> None:
        socket.emit("back", msgspec.json.encode(args[0]))

    server.application.on["there"] = back
    async with over(client, server, transports) as socket:
        for number in range(1000):
            await socket.emit("there", number)
        await until(lambda: len(socket.events) == 1000)

    assert [event.payload for event in socket.events] == list(range(1000))
    assert [args for _, args in server.application.events] == [[number] for number in range(1000)]


async def test_traffic_during_the_upgrade_is_neither_lost_nor_reordered(
    server: Running, client: NodeClient
) -> None:
    async def stream(socket: Socket, _: Any) -> None:
        async def run() -> None:
            for number in range(2000):
                socket.emit("n", str(number).encode())
                if number % 5 == 0:
                    await asyncio.sleep(0.0005)

        socket.data = asyncio.create_task(run())

    server.application.admit = stream
    async with over(client, server, ["polling", "websocket"]) as socket:
        for number in range(300):
            await socket.emit("m", number)
        await socket.next_life("upgrade")
        await until(lambda: len(socket.events) == 2000)
        await socket.call("echo")

    assert [event.payload for event in socket.events] == list(range(2000))
    received = [args[0] for name, args in server.application.events if name == "m"]
    assert received == list(range(300))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_a_refusal_is_final_for_the_client(
    server: Running, client: NodeClient, transports: list[str]
) -> None:
    socket = over(client, server, transports, refuse="Invalid authentication token")
    # The oldest client calls itself active after a refusal, and yet does not try again.
    with pytest.raises((ConnectRefused, OfficialError), match="Invalid authentication token"):
        await socket.connect()
    await until(lambda: server.engine.connection_count == 0)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_a_lost_transport_is_replaced_by_itself(
    server: Running, client: NodeClient, transports: list[str]
) -> None:
    async with over(client, server, transports) as socket:
        await socket.drop()
        life = await socket.next_life("connect")
        assert await socket.call("echo", 1) == 1

    assert life.detail["id"] == server.application.sockets[1].id
    await until(lambda: len(server.application.left) == 2)


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_clients_find_a_restarted_server_by_themselves(
    serve: Serve, client: NodeClient, transports: list[str]
) -> None:
    first = await serve()
    async with over(client, first, transports) as socket:
        if len(transports) > 1:
            await socket.next_life("upgrade")
        await socket.call("echo")
        if transports == ["polling"]:
            await until(first.waiting_polls)
        assert await first.engine.shutdown(within=1)
        life = await socket.next_life("disconnect")
        assert life.detail["reason"] == "transport close"
        assert life.detail["active"]
        await first.stop()
        second = await serve(port=first.port)
        await socket.next_life("connect")
        assert await socket.call("echo", 2) == 2
    await until(lambda: second.application.reasons() == ["client namespace disconnect"])


async def test_what_was_sent_before_a_close_arrives_before_it(server: Running, client: NodeClient) -> None:
    """In one payload with the close packet, the client would hand it out after its next connect."""
    async with over(client, server, ["polling"]) as socket:
        held = server.application.sockets[0]
        polling: Any = server.connection().transport
        await until(lambda: polling._waiting is not None)
        held.emit("last", b"1")
        held.close()
        await socket.next_event("last")

        assert [life for life in socket.lives if life.kind == "connect"] == []
        await socket.next_life("connect")


def _have_answered(server: Running, asked: float) -> bool:
    return all(one.last_acknowledged > asked for one in server.application.sockets)


async def test_pings_keep_the_client_and_their_absence_loses_it(serve: Serve, client: NodeClient) -> None:
    server = await serve(ping_interval=0.2, ping_timeout=1)
    async with over(client, server, ["websocket"]) as socket, over(client, server, ["polling"]) as poller:
        for _ in range(3):
            await until(partial(_have_answered, server, time.monotonic()))
        assert socket.lives == poller.lives == []
        assert await socket.call("echo", 1) == await poller.call("echo", 1) == 1
        held = server.connection()
        await until(lambda: held.last_acknowledged == held._pinged)  # a pong on its way would go on
        held._timer.cancel()
        assert (await socket.next_life("disconnect")).detail["reason"] == "ping timeout"


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_a_passing_fault_lets_the_client_try_again(
    server: Running, client: NodeClient, transports: list[str]
) -> None:
    outcomes = iter([None, RuntimeError("database away"), None])

    async def admit(*_: Any) -> None:
        if (fault := next(outcomes)) is not None:
            raise fault

    server.application.admit = admit
    async with over(client, server, transports) as socket:
        await socket.drop()
        await socket.next_life("connect")
        assert await socket.call("echo", 1) == 1
