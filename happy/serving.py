"""Serve one application on one port until a signal stops it."""

import asyncio
import errno
import logging
import signal
import socket
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, NamedTuple, cast

import uvicorn

from happy.adapters.allocator import return_large_blocks
from happy.bootstrap import Application, open_application
from happy.domain.errors import StartupError
from happy.gateway.dispatch import ASGIApp
from happy.http.framework.delivery import DeliveringHttp
from happy.http.framework.open_files import raise_limit
from happy.settings import Full, Light

BACKLOG = 2048
ACCEPTED_AT_ONCE = 64
"""Connections that are accepted in one iteration of the event loop."""

KEEP_ALIVE_SECONDS = 75
"""Longer than the 72 s that answers announce, so that no client uses a connection that was just closed."""

REQUESTS_SECONDS = 2
"""Timeout of requests in flight at shutdown, in s."""

SWITCH_SECONDS = 0.001
"""How long a thread waits for the interpreter (the GIL) while the event loop is busy, in s. A read of SQLite
waits some twenty times: with Python's default of 5 ms it took 100 ms and more beside a flood of packets."""

log = logging.getLogger(__name__)


class WebServer(uvicorn.Server):
    """Uvicorn without its own signal handling: the order of our shutdown is not its order."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.accepting = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.accepting.set()

    async def stop_accepting(self, listener: socket.socket) -> None:
        """Close all descriptors of the listener, but accept what waits to be, up to that moment.

        With the last one it would be reset: a proxy answers its request with 502.
        """
        for accepting in self.servers[1:]:
            accepting.close()
        waiting: list[socket.socket] = []
        with suppress(OSError):  # none is left
            while len(waiting) < BACKLOG:
                waiting.append(listener.accept()[0])
        for accepting in self.servers[:1]:
            accepting.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            connection.settimeout(0)
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        make: type[DeliveringHttp] = cast("Any", self.config).http_protocol_class
        return make(self.config, self.server_state, self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Light | Full, on_ready: Callable[[], None]) -> None:
    """Run until SIGINT or SIGTERM. `on_ready` is called when requests are answered. Raises StartupError."""
    raise_limit()
    return_large_blocks()
    sys.setswitchinterval(SWITCH_SECONDS)
    with bind(settings.host, settings.port) as listener:
        if isinstance(settings, Light):  # there is no other replica: clients wait until it is ready
            listen(listener)
        async with open_application(settings) as application, metrics_port(application, settings):
            listen(listener)
            await _serve(application, listener, on_ready, end_of(settings))


def bind(host: str, port: int, variable: str = "PORT") -> socket.socket:
    """Bind the port, before anything is created on disk. Raises StartupError when it is not free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise _taken(host, port, error, variable) from None
    return listener


def listen(listener: socket.socket, variable: str = "PORT") -> None:
    """Accept connections from now on. Raises StartupError when another process listens already."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        host, port = listener.getsockname()[:2]
        raise _taken(host, port, error, variable) from None


def listeners(listener: socket.socket) -> list[socket.socket]:
    """The listener under several file descriptors, to accept as many connections in one iteration.

    The event loop (libuv since 1.45) accepts one for each descriptor and iteration. While others keep it
    busy, an iteration takes many ms, and who opens a thousand connections in a second then fills the
    backlog: the system drops those of everybody else, who try again after 1, 3, 7, 15 s.
    """
    return [listener, *(listener.dup() for _ in range(ACCEPTED_AT_ONCE - 1))]


def _taken(host: str, port: int, error: OSError, variable: str) -> StartupError:
    advice = f"set {variable} to another one"
    if error.errno == errno.EADDRNOTAVAIL:
        advice = "set HOST to an address of this machine, or to 0.0.0.0 for all of them"
    return StartupError(f"cannot listen on {host} port {port}: {error.strerror}; {advice}")


@asynccontextmanager
async def metrics_port(application: Application, settings: Light | Full) -> AsyncIterator[None]:
    """Serve metrics on their port meanwhile; if it is in use, log a warning and go on without."""
    if settings.metrics_port is None:
        yield
        return
    try:
        listener = bind(settings.host, settings.metrics_port, "METRICS_PORT")
        listen(listener, "METRICS_PORT")
    except StartupError as taken:
        log.warning("no metrics: %s", taken)
        yield
        return
    with listener:
        server = WebServer(_configuration(application.metrics, DeliveringHttp))
        serving = asyncio.get_running_loop().create_task(server.serve(sockets=[listener]))
        await server.accepting.wait()
        try:
            yield
        finally:
            server.should_exit = True
            await serving


class End(NamedTuple):
    """Phases of a graceful shutdown, in s: balancers notice, connections move, requests finish."""

    notice: float
    spread: float
    requests: int


def end_of(settings: Light | Full) -> End:
    """Light closes everything at once; full spreads the reconnects to other replicas over time."""
    if isinstance(settings, Light):
        return End(0, 0, REQUESTS_SECONDS)
    total = settings.shutdown_seconds
    return End(0.15 * total, 0.25 * total, max(1, int(0.35 * total)))


async def _serve(
    application: Application, listener: socket.socket, on_ready: Callable[[], None], end: End
) -> None:
    server = WebServer(configuration(application))
    server.config.timeout_graceful_shutdown = end.requests
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    serving = loop.create_task(server.serve(sockets=listeners(listener)))
    await server.accepting.wait()
    on_ready()
    waiting = loop.create_task(stopping.wait())
    await asyncio.wait([serving, waiting], return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    application.readiness.stopping = True
    await asyncio.sleep(end.notice)
    if not end.spread:
        await server.stop_accepting(listener)
    await application.close_sockets(end.spread)
    await server.stop_accepting(listener)
    server.should_exit = True
    await serving


def configuration(application: Application) -> uvicorn.Config:
    """How the web server below the application is set up."""
    engine = application.engine

    class Http(DeliveringHttp):
        table = engine.table
        addresses = engine.addresses

    return _configuration(application.asgi, Http, engine.websocket_protocol())


def _configuration(
    asgi: ASGIApp, http: type[DeliveringHttp], websockets: type[asyncio.Protocol] | None = None
) -> uvicorn.Config:
    return uvicorn.Config(
        asgi,
        loop="none",
        http=http,
        ws=websockets or "none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=REQUESTS_SECONDS,
        backlog=BACKLOG,
    )
