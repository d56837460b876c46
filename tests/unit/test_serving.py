"""What the server does with its port."""

import asyncio
import socket
import time
from contextlib import ExitStack

import pytest
import uvicorn
import uvloop
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from happy.http.framework.delivery import DeliveringHttp
from happy.serving import ACCEPTED_AT_ONCE, WebServer, bind, listen, listeners

WAITING = 512
BUSY_SECONDS = 0.002


def test_one_connection_was_accepted_in_an_iteration_of_a_busy_loop() -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        iterations = runner.run(_iterations_until_all_are_accepted())

    assert iterations < 4 * WAITING / ACCEPTED_AT_ONCE


async def _iterations_until_all_are_accepted() -> int:
    loop = asyncio.get_running_loop()
    accepted: list[object] = []
    iterations = 0

    class Accepting(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            accepted.append(transport)
            transport.close()

    def keep_busy() -> None:
        nonlocal iterations
        iterations += 1
        ends = time.perf_counter() + BUSY_SECONDS
        while time.perf_counter() < ends:
            pass
        if len(accepted) < WAITING:
            loop.call_soon(keep_busy)
        else:
            over.set()

    over = asyncio.Event()
    with ExitStack() as stack, bind("127.0.0.1", 0) as listener:
        listen(listener)
        for _ in range(WAITING):
            client = stack.enter_context(socket.socket())
            client.settimeout(0)
            client.connect_ex(listener.getsockname())
        servers = [await loop.create_server(Accepting, sock=each) for each in listeners(listener)]
        keep_busy()
        await asyncio.wait_for(over.wait(), 30)
        for server in servers:
            server.close()
    return iterations


REQUEST = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.parametrize("used_before", [False, True])
def test_a_request_that_arrives_while_the_server_stops_is_answered(*, used_before: bool) -> None:
    """It was reset with the backlog, or with the idle connection it came on: proxies answered 502."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answer = runner.run(_answer_of_one_that_stops(used_before=used_before))

    assert answer.startswith(b"HTTP/1.1 200 ")


async def _answer_of_one_that_stops(*, used_before: bool) -> bytes:
    with bind("127.0.0.1", 0) as listener:
        listen(listener)
        server = WebServer(uvicorn.Config(_greet, http=DeliveringHttp, lifespan="off", log_config=None))
        serving = asyncio.create_task(server.serve(sockets=listeners(listener)))
        await server.accepting.wait()
        with socket.create_connection(listener.getsockname(), timeout=10) as client:
            if used_before:
                client.sendall(REQUEST)
                await asyncio.to_thread(client.recv, 65_536)
            client.sendall(REQUEST)  # and the event loop does not know of it when it stops
            await server.stop_accepting(listener)
            for connection in list(server.server_state.connections):
                connection.shutdown()
            server.should_exit = True
            answer = await asyncio.to_thread(client.recv, 65_536)
        await serving
        return answer


async def _greet(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})
