"""A proxy for TCP that splits, delays and cuts."""

import asyncio
import random

SIZES = (1, 2, 3, 5, 50, 2000)


class Proxy:
    """Passes bytes on in pieces of random size, late; `cut` drops every connection.

    While `refusing` is set, new connections end at once, as those to a server out of reach.
    """

    def __init__(self, target: int, seed: int, *, sizes: tuple[int, ...] = SIZES) -> None:
        self.target = target
        self.sizes = sizes
        self.url = ""
        self.refusing = False
        self._near: set[asyncio.StreamWriter] = set()
        self._stale: set[asyncio.StreamWriter] = set()
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

    def cut_unnoticed(self) -> None:
        """Drop the clients' ends only: the server goes on sending to connections that nobody reads."""
        self._stale |= self._writers - self._near
        for writer in list(self._near):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # the server is away
            writer.transport.abort()
            return
        ends = {writer, far_writer}
        self._near.add(writer)
        self._writers |= ends
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))
        self._near.discard(writer)
        self._writers -= ends
        self._stale -= ends

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(max(self.sizes)):
                while data and not writer.transport.is_closing():
                    size = self._random.choice(self.sizes)
                    writer.write(data[:size])
                    data = data[size:]
                    await asyncio.sleep(self._random.choice([0, 0, 0, 0.001]))
        except (OSError, RuntimeError):  # uvloop's word for a transport that was aborted
            pass
        finally:
            if writer not in self._stale:
                writer.close()
