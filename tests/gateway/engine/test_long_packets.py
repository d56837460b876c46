"""Large packets over a websocket, which are parsed where they lie: events, answers, and what is refused."""

from typing import Any

import pytest

from happy.domain.json_text import MAX_FREE_BYTES
from tests.gateway.engine.harness import RawWebSocket, Running, send_request
from tests.support.until import until

LONG = "x" * (2 * MAX_FREE_BYTES)


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (f'4217["echo","{LONG}"]', f'4317["{LONG}"]'),
        (f'42/,17["echo","{LONG}"]', f'4317["{LONG}"]'),
        (f'4217["echo","{LONG}",{{"a":1}},"{LONG}"]', f'4317["{LONG}",{{"a":1}},"{LONG}"]'),
    ],
    ids=["event", "with the name of its namespace", "of three arguments"],
)
async def test_a_large_event_is_read_like_a_small_one(server: Running, sent: str, answered: str) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send(sent, '421["echo","small"]')

        assert answered == await socket.receive()
        assert '431["small"]' == await socket.receive()
    assert "echo" == server.application.names()[0]


async def test_a_large_answer_is_read_like_a_small_one(server: Running) -> None:
    asked: list[Any] = []
    server.application.on["ask"] = lambda socket, *_: asked.append(send_request(socket))
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send('42["ask"]')
        number = (await socket.receive())[2:].partition("[")[0]
        await socket.send(f'43{number}["{LONG}"]')

        assert f'"{LONG}"'.encode() == await asked[0]


@pytest.mark.parametrize(
    "packet",
    [
        f'42["echo","{LONG}"',
        f'42["echo","{LONG}"]]',
        f'42["connect","{LONG}"]',
        f'42["echo","\u00e4{LONG}"]',
        f'42["echo",[{"1," * MAX_FREE_BYTES}1]]',
        f'42/other,["echo","{LONG}"]',
        f'43["{LONG}"]',
        f'49["{LONG}"]',
        f"3{LONG}",
        f"b{LONG}",
    ],
    ids=[
        "cut",
        "too long",
        "reserved",
        "not ASCII",
        "expensive",
        "foreign namespace",
        "no number",
        "unknown kind",
        "pong",
        "binary",
    ],
)
async def test_large_packets_that_are_malformed_end_the_connection(server: Running, packet: str) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send(packet)
        await socket.drain()

    await until(lambda: server.application.reasons() == ["parse error"])
    assert [] == server.application.events


async def test_before_connect_a_packet_is_never_large(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send(f'42["echo","{LONG}"]')
        await socket.drain()

    assert [] == server.application.events
