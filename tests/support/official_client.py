"""The official `socket.io-client` in a Node process, driven from Python; it reads like `SocketClient`."""

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.support.nodejs import SOCKET_IO_CLIENT, installed, node
from tests.support.socket_client import TIMEOUT, ConnectRefused, Disconnected, Event, Inbox

SCRIPT = Path(__file__).with_name("official_client.mjs")
LINE_LIMIT = 64 * 1024 * 1024


class Life(NamedTuple):
    """Something that happened to the connection: connect, disconnect, connect_error, upgrade."""

    kind: str
    detail: dict[str, Any]


class NodeClient:
    """One Node process with any number of sockets; `async with` starts and ends it."""

    def __init__(self, package: tuple[str, str] = SOCKET_IO_CLIENT) -> None:
        self._package = package
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._sockets: dict[str, OfficialSocket] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        package = installed(*self._package)
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            node(), str(SCRIPT), str(package), stdin=pipe, stdout=pipe, limit=LINE_LIMIT
        )
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._reader is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    def socket(self, url: str, **auth: Any) -> "OfficialSocket":
        """A socket for `async with`; `auth` as the client library takes it. See also `with_options`."""
        return OfficialSocket(self, url, auth)

    def adopt(self, socket: "OfficialSocket") -> str:
        """A name for a socket, which is told from now on what happens to it."""
        name = f"socket-{next(self._numbers)}"
        self._sockets[name] = socket
        return name

    async def request(self, op: str, **arguments: Any) -> Any:
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        assert self._process is not None
        assert self._process.stdin is not None
        line = json.dumps({"id": number, "op": op, **arguments}, default=_bytes) + "\n"
        self._process.stdin.write(line.encode())
        await self._process.stdin.drain()
        return await answer

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            await self._handle(json.loads(line))
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Disconnected("the Node process ended"))

    async def _handle(self, line: dict[str, Any]) -> None:
        if "socket" in line:
            await self._sockets[line["socket"]].receive(line)
        waiting = self._waiting.pop(line.get("id", 0), None)
        if waiting is not None and not waiting.done():
            if "error" in line:
                waiting.set_exception(OfficialError(line["error"], active=line.get("active")))
            else:
                waiting.set_result(line["value"])


class OfficialError(Exception):
    """The client library reported an error; `active` is true while it goes on trying by itself."""

    def __init__(self, message: str, *, active: bool | None) -> None:
        super().__init__(message)
        self.active = active


class OfficialSocket(Inbox):
    """One socket of the official client. `log` keeps events and acknowledgements in order of arrival."""

    def __init__(self, client: NodeClient, url: str, auth: dict[str, Any]) -> None:
        super().__init__()
        self.name = client.adopt(self)
        self.url = url
        self.id = ""
        self.transport = ""
        self.log: list[Event] = []
        self.lives: list[Life] = []
        self._client = client
        self._lived = asyncio.Condition()
        # As the installed clients connect: websocket only, path without the last slash. Reconnect soon.
        self._options: dict[str, Any] = {
            "auth": {key: value for key, value in auth.items() if value is not None},
            "path": "/v1/updates",
            "transports": ["websocket"],
            "reconnectionDelay": 100,
            "reconnectionDelayMax": 300,
        }

    def with_options(self, **options: Any) -> Self:
        self._options |= options
        return self

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def connect(self) -> None:
        """Connect; a refusal by the server is `ConnectRefused`, a transport failure `OfficialError`."""
        try:
            async with asyncio.timeout(TIMEOUT):
                opened = await self._request("open", url=self.url, options=self._options)
        except OfficialError as error:
            await self.close()
            if error.active:  # a transport failure; the library would try again
                raise
            raise ConnectRefused(str(error)) from None
        self.id, self.transport = opened["id"], opened["transport"]

    async def close(self) -> None:
        await self._request("close")
        await self._end()

    async def drop(self) -> None:
        """Close the transport under the client's feet; it reconnects by itself."""
        await self._request("drop")

    async def aim(self, url: str) -> None:
        """Connect to another server from now on, as behind a balancer."""
        await self._request("aim", url=url)

    async def cut(self) -> None:
        """Lose the connection and stay away until `come_back`; made with `reconnection=False`."""
        await self.drop()
        await self.next_life("disconnect")

    async def come_back(self) -> bool:
        """Connect again; whether the library says that nothing was missed."""
        await self._request("reconnect")
        return bool((await self.next_life("connect")).detail["recovered"])

    async def emit(self, name: str, *payload: Any) -> None:
        await self._request("emit", event=name, args=payload)

    async def call(self, name: str, *payload: Any, timeout: float = TIMEOUT) -> Any:
        """emitWithAck: the first argument of the acknowledgement, None if it had none."""
        try:
            return await self._request("call", event=name, args=payload, timeout=int(timeout * 1000))
        except OfficialError as error:
            raise TimeoutError(f"{name}: {error}") from None

    async def answer(self, name: str, **how: Any) -> None:
        """How to acknowledge an event from now on: value=..., echo=True, none=True; delay=milliseconds."""
        await self._request("answer", event=name, how=how)

    async def next_life(self, kind: str, *, timeout: float = TIMEOUT) -> Life:
        """Wait for a life event of that kind, past ones included; it is then forgotten."""
        async with self._lived, asyncio.timeout(timeout):
            await self._lived.wait_for(lambda: any(life.kind == kind for life in self.lives))
            found = next(life for life in self.lives if life.kind == kind)
            self.lives.remove(found)
            return found

    async def receive(self, line: dict[str, Any]) -> None:
        """Called by the Node client with every line about this socket."""
        if "event" in line:
            event = Event(line["event"], line["args"])
            self.log.append(event)
            await self._put(event)
        elif "ack" in line:
            self.log.append(Event(f"ack of {line['ack']}", [line["value"]]))
        else:
            async with self._lived:
                self.lives.append(Life(line["life"], line["detail"]))
                self._lived.notify_all()

    async def _request(self, op: str, **arguments: Any) -> Any:
        return await self._client.request(op, socket=self.name, **arguments)


def _bytes(value: Any) -> dict[str, str]:
    assert isinstance(value, bytes)
    return {"$bytes": base64.b64encode(value).decode()}


@contextlib.asynccontextmanager
async def sockets(*opening: OfficialSocket) -> AsyncIterator[tuple[OfficialSocket, ...]]:
    """Several sockets open together."""
    async with contextlib.AsyncExitStack() as stack:
        for socket in opening:
            await stack.enter_async_context(socket)
        yield opening
