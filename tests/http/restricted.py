"""Servers that do not give everybody an account, and the clients that ask them for one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from typing import Any

import httpx
import sqlalchemy as sa
from nacl.signing import SigningKey

from happy.domain.values import HOUR
from schema.tables import accounts
from tests.support.api_client import sign_in_body
from tests.support.commands import Ended, command
from tests.support.environments import Environment
from tests.support.rows import Rows, open_rows
from tests.support.server_thread import RunningServer, run_server

DAY = 24 * HOUR
FRIEND, STRANGER = "203.0.113.7", "198.51.100.9"


class Server:
    """Servers on one environment, and its commands; all of them know the same mode."""

    def __init__(self, environment: Environment, running: list[RunningServer]) -> None:
        self.environment = environment
        self.urls = [server.url for server in running]
        self.settings = running[0].settings

    async def sign_in(
        self, key: SigningKey | None = None, address: str = FRIEND, *, replica: int = -1
    ) -> httpx.Response:
        """From a client at this address, behind a proxy."""
        body = sign_in_body(key or SigningKey.generate())
        return await self.post("/v1/auth", address, json=body, replica=replica)

    async def post(
        self, path: str, address: str = FRIEND, *, replica: int = -1, **content: Any
    ) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.urls[replica], trust_env=False, verify=False) as client:
            return await client.post(path, headers={"X-Forwarded-For": address}, timeout=30, **content)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.urls[0], trust_env=False, verify=False) as client:
            return await client.get(path, timeout=30)

    async def command(self, *arguments: str) -> Ended:
        return await command(self.environment, *arguments)


@contextmanager
def servers(environment: Environment, mode: str, **variables: str) -> Iterator[Server]:
    """One, or two replicas where there can be any."""
    settings = {
        **environment.variables,
        "HAPPY_REGISTRATION": mode,
        "PUBLIC_URL": "https://happy.example",
        **variables,
    }
    environment = Environment(environment.flavor, settings)
    with ExitStack() as stack:
        count = 2 if environment.flavor == "full" else 1
        yield Server(environment, [stack.enter_context(run_server(environment)) for _ in range(count)])


@asynccontextmanager
async def rows_of(server: Server) -> AsyncIterator[Rows]:
    async with open_rows(server.settings) as opened:
        yield opened


async def account_count(server: Server) -> int:
    async with rows_of(server) as rows:
        ((count,),) = await rows(sa.select(sa.func.count()).select_from(accounts))
    return int(count)


async def age(rows: Rows, table: sa.Table, millis: int) -> None:
    """As if everything in the table had happened that much earlier."""
    for column in table.c:
        if column.key in ("created_at", "updated_at", "expires_at"):
            for (moment,) in await rows(sa.select(column).distinct()):
                await rows(sa.update(table).where(column == moment).values({column: moment - millis}))
