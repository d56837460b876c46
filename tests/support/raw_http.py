"""HTTP as bytes: what client libraries would tidy up before it reaches the server."""

import asyncio
import json
from typing import Any, NamedTuple, Self


class RawResponse(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class RawConnection:
    """One connection that stays open between requests."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> Self:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.writer.close()

    async def request(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> RawResponse:
        """A request with exactly these headers, plus `Host` and the length of a body."""
        self.send(method, target, headers, body)
        return await self.answer(method)

    def send(
        self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
    ) -> None:
        lines = {"Host": "127.0.0.1", **(headers or {})}
        if body is not None and "Transfer-Encoding" not in lines:
            lines.setdefault("Content-Length", str(len(body)))
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.writer.write(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode() + (body or b""))

    async def answer(self, method: str) -> RawResponse:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        status, *lines = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        number = int(status.split()[1])
        if method == "HEAD" or number == 204:
            return RawResponse(number, headers, b"")
        if headers.get("transfer-encoding") == "chunked":
            return RawResponse(number, headers, await self._chunks())
        return RawResponse(number, headers, await self.reader.readexactly(int(headers["content-length"])))

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self.reader.readline(), 16):
            body += await self.reader.readexactly(size)
            await self.reader.readline()
        await self.reader.readline()
        return body


async def exchange(
    port: int, method: str, target: str, headers: dict[str, str] | None = None, body: bytes | None = None
) -> RawResponse:
    """One request on a connection of its own."""
    async with await RawConnection.open(port) as connection:
        return await connection.request(method, target, headers, body)
