"""A server of either flavor that has nothing yet, for programs outside pytest."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support import databases
from tests.support.environments import full_variables
from tests.support.server_process import Server


@asynccontextmanager
async def new_server(flavor: str, home: Path, *, port: int | None = None) -> AsyncIterator[Server]:
    """Not started; the full one on a database of its own, which is gone afterwards."""
    if flavor == "light":
        yield Server(home, port=port)
        return
    async with databases.new_database() as url:
        yield Server(home, flavor=flavor, variables=full_variables(url, home), port=port)
