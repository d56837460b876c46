"""The sockets that one account has at one server."""

import asyncio
import time

from tests.bench.raw_socket import RawSocket, connect

CONNECT_SECONDS = 60


class Clients:
    """Opens them by what they are, and closes them all."""

    def __init__(self, port: int, token: str) -> None:
        self.port = port
        self.token = token
        self._sockets: list[RawSocket] = []

    async def user(self) -> RawSocket:
        return await self._open(clientType="user-scoped")

    async def session(self, session_id: str) -> RawSocket:
        return await self._open(clientType="session-scoped", sessionId=session_id)

    async def machine(self) -> RawSocket:
        return await self._open(clientType="machine-scoped", machineId="m")

    async def users(self, count: int) -> list[float]:
        """So many arrive at once; the seconds that each took, from its first packet until it was in."""
        async with asyncio.timeout(CONNECT_SECONDS):
            return await asyncio.gather(*(self._timed() for _ in range(count)))

    async def _timed(self) -> float:
        began = time.perf_counter()
        await self.user()
        return time.perf_counter() - began

    async def _open(self, **auth: str) -> RawSocket:
        socket = await connect(self.port, token=self.token, **auth)
        self._sockets.append(socket)
        return socket

    def close(self) -> None:
        for socket in self._sockets:
            socket.close()
        self._sockets.clear()
