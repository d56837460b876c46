"""A balancer before several replicas: asks for their health, spreads new connections, moves clients."""

import asyncio
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import NamedTuple, Self

ASK = b"GET /health HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n"
ASK_SECONDS = 1.0


class Balancer:
    """Passes bytes on. A new connection goes to the next replica that is healthy and takes it.

    Like most balancers it learns of a replica's end by asking: a connection that is there stays where it is.
    """

    def __init__(self, ports: Sequence[int], *, ask_every: float = 0.25) -> None:
        self.url = ""
        self.links: set[Link] = set()
        self._ports = list(ports)
        self._healthy = set(ports)
        self._failed: set[int] = set()
        self._ask_every = ask_every
        self._turn = 0
        self._server: asyncio.Server | None = None
        self._asking: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Link(self), "127.0.0.1", 0, backlog=1024)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._asking = loop.create_task(self._ask_all())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        assert self._asking is not None
        self._asking.cancel()
        self._server.close()
        cut(self.links)
        await asyncio.sleep(0.05)

    def move(self, share: float, chance: random.Random) -> int:
        """Cut some of the connections, whose clients come back by themselves; how many."""
        chosen = [link for link in self.links if chance.random() < share]
        cut(chosen)
        return len(chosen)

    def candidates(self) -> list[int]:
        """The replicas to try, in order. When none is healthy, any may have become it just now."""
        self._turn += 1
        start = self._turn % len(self._ports)
        order = self._ports[start:] + self._ports[:start]
        return [port for port in order if port in self._healthy] or order

    def fails(self, port: int) -> None:
        """A replica took no connection: none goes there until it says that it is well."""
        self._healthy.discard(port)
        self._failed.add(port)

    async def _ask_all(self) -> None:
        while True:
            self._failed.clear()
            answers = await asyncio.gather(*map(is_healthy, self._ports))
            well = {port for port, answer in zip(self._ports, answers, strict=True) if answer}
            self._healthy = well - self._failed  # an answer may be older than a failure
            await asyncio.sleep(self._ask_every)


class Link(asyncio.Protocol):
    """The client's end of a connection; what comes before the replica took it waits."""

    def __init__(self, balancer: Balancer) -> None:
        self.transport: asyncio.Transport | None = None
        self.far: FarEnd | None = None
        self._balancer = balancer
        self._early: list[bytes] = []
        self._joining: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._balancer.links.add(self)
        self._joining = asyncio.get_running_loop().create_task(self._join())

    async def _join(self) -> None:
        assert self.transport is not None
        for port in self._balancer.candidates():
            try:
                _, self.far = await asyncio.get_running_loop().create_connection(
                    lambda: FarEnd(self), "127.0.0.1", port
                )
            except OSError:
                self._balancer.fails(port)
                continue
            assert self.far.transport is not None
            self.far.transport.writelines(self._early)
            return
        self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.far is None or self.far.transport is None:
            self._early.append(data)
        else:
            self.far.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._balancer.links.discard(self)
        if self._joining is not None:
            self._joining.cancel()
        if self.far is not None and self.far.transport is not None:
            self.far.transport.abort() if error else self.far.transport.close()

    def pause_writing(self) -> None:
        if self.far is not None and self.far.transport is not None:
            self.far.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.far is not None and self.far.transport is not None:
            self.far.transport.resume_reading()


class FarEnd(asyncio.Protocol):
    """The replica's end of a connection."""

    def __init__(self, link: Link) -> None:
        self.transport: asyncio.Transport | None = None
        self._link = link

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        if self._link.transport is None or self._link.transport.is_closing():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        assert self._link.transport is not None
        self._link.transport.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        if self._link.transport is not None:
            self._link.transport.abort() if error else self._link.transport.close()

    def pause_writing(self) -> None:
        if self._link.transport is not None:
            self._link.transport.pause_reading()

    def resume_writing(self) -> None:
        if self._link.transport is not None:
            self._link.transport.resume_reading()


def cut(links: Iterable[Link]) -> None:
    for link in list(links):
        if link.transport is not None:
            link.transport.abort()


async def is_healthy(port: int) -> bool:
    """What a balancer believes: a 200 of `/health`, in time."""
    return (await health(port)).status == 200


class Health(NamedTuple):
    """A status of 0: no answer in time."""

    status: int
    says: Mapping[str, str]
    took: float


async def health(port: int, seconds: float = ASK_SECONDS) -> Health:
    """What `/health` says."""
    loop = asyncio.get_running_loop()
    began, answer = loop.time(), b""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(ASK)
                answer = await reader.read()
            finally:
                writer.transport.abort()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not body:
        return Health(0, {}, loop.time() - began)
    return Health(int(head.split()[1]), json.loads(body), loop.time() - began)
