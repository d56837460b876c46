"""The whole server in a thread of this process: real connections, a start in well under a second."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from concurrent.futures import Future
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvloop

from happy.bootstrap import open_application
from happy.serving import WebServer, bind, configuration, metrics_port
from happy.settings import Full, Light, load
from tests.support.environments import Environment


class RunningServer(NamedTuple):
    url: str
    port: int
    settings: Light | Full

    @property
    def files(self) -> Path:
        """The folder of the files that clients uploaded."""
        folder = self.settings.files_dir if isinstance(self.settings, Light) else self.settings.files
        assert isinstance(folder, Path), "in an object store"
        return folder


@contextmanager
def run_server(
    environment: Environment, variables: Mapping[str, str] | None = None, **options: Any
) -> Iterator[RunningServer]:
    """Serve until the end of the block, on a free port. The options are those of `open_application`."""
    environ = {"METRICS_ENABLED": "false", **environment.variables, **(variables or {})}
    settings = load(environ, flavor=environment.flavor)
    with serve_in_thread(settings, options) as port:
        yield RunningServer(f"http://127.0.0.1:{port}", port, settings)


@asynccontextmanager
async def run_beside(environment: Environment) -> AsyncIterator[RunningServer]:
    """The same for a test whose clients are still there when the server ends, and have to answer it."""
    with ExitStack() as stack:
        yield stack.enter_context(run_server(environment))
        await asyncio.to_thread(stack.close)


@contextmanager
def serve_in_thread(settings: Light | Full, options: Mapping[str, Any]) -> Iterator[int]:
    """Serve until the end of the block, on a free port."""
    ready: Future[int] = Future()
    stop: Future[None] = Future()
    thread = threading.Thread(
        target=lambda: uvloop.run(_serve(settings, options, ready, stop)), name="server"
    )
    thread.start()
    try:
        yield ready.result(timeout=20)
    finally:
        stop.set_result(None)
        thread.join()


async def _serve(
    settings: Light | Full, options: Mapping[str, Any], ready: "Future[int]", stop: "Future[None]"
) -> None:
    try:
        with bind("127.0.0.1", 0) as listener:
            async with (
                open_application(settings, **options) as application,
                metrics_port(application, settings),
            ):
                server = WebServer(configuration(application))
                serving = asyncio.create_task(server.serve(sockets=[listener]))
                await server.accepting.wait()
                ready.set_result(listener.getsockname()[1])
                await asyncio.wrap_future(stop)
                await application.close_sockets()
                server.should_exit = True
                await serving
    except BaseException as error:
        if not ready.done():
            ready.set_exception(error)
        raise
