"""What the server does with its port."""

import asyncio
import socket
import time
from contextlib import ExitStack

import uvloop

from happy.serving import ACCEPTED_AT_ONCE, bind, listen, listeners

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
