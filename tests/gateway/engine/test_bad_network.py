"""The official client behind a proxy that splits, delays and cuts."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

import pytest

from happy.gateway.engine import Ack, Socket
from tests.e2e.official import NodeClient, OfficialSocket
from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import Running, until
from tests.node import node


class Proxy:
    """Passes bytes on in pieces of random size, late; `cut` drops every connection."""

    def __init__(self, target: int, seed: int) -> None:
        self.target = target
        self.url = ""
        self._random = random.Random(seed)
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> "Proxy":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.sleep(0.05)

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        self._writers |= {writer, far_writer}
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        self._writers -= {writer, far_writer}

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(2000):
                while data:
                    size = self._random.choice([1, 2, 3, 5, 50, 2000])
                    writer.write(data[:size])
                    data = data[size:]
                    await asyncio.sleep(self._random.choice([0, 0, 0, 0.001]))
        except (OSError, RuntimeError):  # uvloop's word for a transport that was aborted
            pass
        finally:
            writer.close()


@pytest.fixture
async def client() -> AsyncIterator[NodeClient]:
    node()
    async with NodeClient() as running:
        yield running


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


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="-".join)
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


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]], ids="-".join)
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
    await until(lambda: len(server.application.left) == len(server.application.sockets))

    assert len(server.application.sockets) >= 9
    assert server.engine._runtime.unfinished == 0
