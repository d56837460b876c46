"""The official client behind a proxy that splits, delays and cuts."""

import asyncio
import contextlib
import random
from typing import Any

import pytest

from happy.gateway.engine import Ack, Socket
from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import Running
from tests.support.official_client import NodeClient, OfficialSocket
from tests.support.tcp_proxy import Proxy
from tests.support.until import until

TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]]


async def cut_until_noticed(proxy: Proxy, socket: OfficialSocket) -> None:
    """A polling client has moments without any connection to cut."""
    while True:
        proxy.cut()
        with contextlib.suppress(TimeoutError):
            await socket.next_life("connect", timeout=1)
            return


def count_up(server: Running) -> None:
    def back(socket: Socket, args: list[Any], ack: Ack | None) -> None:
        socket.emit("back", str(args[0]).encode())
        if ack is not None:
            ack(b"null")

    server.application.on["there"] = back


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_order_survives_any_cutting_of_the_stream(
    server: Running, client: NodeClient, transports: list[str]
) -> None:
    count_up(server)
    async with (
        Proxy(server.port, seed=1) as proxy,
        client.socket(proxy.url).with_options(transports=transports) as socket,
    ):
        for number in range(200):
            await socket.emit("there", number)
        await until(lambda: len(socket.events) == 200)

    assert [event.payload for event in socket.events] == list(range(200))


@pytest.mark.parametrize("transports", TRANSPORTS, ids="-".join)
async def test_a_client_comes_back_after_every_cut(
    serve: Serve, client: NodeClient, transports: list[str]
) -> None:
    server = await serve(ping_interval=0.5, ping_timeout=1.0)  # ends sessions cut off between two polls
    count_up(server)
    chance = random.Random(2)
    async with (
        Proxy(server.port, seed=2) as proxy,
        client.socket(proxy.url).with_options(transports=transports) as socket,
    ):
        for _ in range(8):
            for number in range(20):
                await socket.emit("there", number)
            await asyncio.sleep(chance.random() * 0.05)
            await cut_until_noticed(proxy, socket)
        assert await socket.call("there", 1) is None
    await until(lambda: server.engine._context.unfinished == 0)

    assert len(server.application.left) == len(server.application.sockets)
    assert len(server.application.sockets) >= 9
