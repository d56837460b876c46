"""The end of the server: transports are closed, nobody is told to stay away."""

import asyncio
import time

import httpx

from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import PATH, Poller, RawWebSocket, Recorder, Running
from tests.support.until import until


async def test_all_transports_close_without_a_disconnect_packet(server: Running) -> None:
    async with RawWebSocket(server.url) as socket, Poller(server.url) as poller:
        await socket.join()
        await poller.join()
        waiting = await poller.wait(server)

        assert await server.engine.shutdown(within=1)
        assert await socket.drain() == []
        assert await waiting == "1"
    assert server.application.reasons() == ["server shutting down"] * 2
    assert server.engine.connection_count == 0


async def test_new_handshakes_are_refused_meanwhile(server: Running) -> None:
    await server.engine.shutdown()

    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        answer = await http.get(f"{server.url}{PATH}?EIO=4&transport=polling")
    assert answer.status_code == 503


async def test_the_application_is_given_time_to_part_from_its_sockets(serve: Serve) -> None:
    released = asyncio.Event()

    class Slow(Recorder):
        async def disconnected(self, socket: object, reason: str) -> None:
            await released.wait()
            self.log.append(f"parted: {reason}")

    server = await serve(application=Slow())
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        assert not await server.engine.shutdown(within=0.02)
        released.set()
        assert await server.engine.shutdown(within=1)
        await socket.drain()

    assert server.application.log == ["connect", "parted: server shutting down"]


async def test_closing_can_be_spread_over_a_while(server: Running) -> None:
    async def stay(socket: RawWebSocket) -> float:
        async with socket:
            await socket.join()
            await socket.drain()
            return time.monotonic()

    staying = [asyncio.create_task(stay(RawWebSocket(server.url))) for _ in range(10)]
    await until(lambda: len(server.application.sockets) == 10)
    await server.engine.shutdown(spread=0.3)
    ended = sorted(await asyncio.gather(*staying))

    assert ended[-1] - ended[0] > 0.2


async def test_nothing_is_left_behind(server: Running) -> None:
    async with RawWebSocket(server.url) as one, RawWebSocket(server.url) as two, Poller(server.url) as poller:
        await one.join()
        await two.open()
        await poller.join()
        one.abort()
        await poller.post("1")
        await server.engine.shutdown(within=1)
        await two.closed()
    context = server.engine._context
    await until(lambda: not context._tasks)

    assert context.connections == {}
    assert context.unfinished == 0
    assert len(server.application.left) == 2
