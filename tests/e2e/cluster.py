"""Several server processes on one database and one Redis."""

import asyncio
import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg

from tests.e2e.server import REPOSITORY, Server

POSTGRES = os.environ.get("HAPPY_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/postgres")
REDIS = os.environ.get("HAPPY_TEST_REDIS", "redis://127.0.0.1:6379")


class Replica(Server):
    """One process of a cluster."""

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        super().__init__(home, flavor="full")
        self.variables = variables

    def _environment(self) -> dict[str, str]:
        return {**super()._environment(), "DATA_DIR": str(self.home), **self.variables}


async def _on_server(statement: str) -> None:
    connection = await asyncpg.connect(POSTGRES, timeout=5)
    await connection.execute(statement)
    await connection.close()


async def _migrate(url: str) -> None:
    environ = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "HANDY_MASTER_SECRET": "x"}
    command = [sys.executable, "-m", "happy", "migrate", "--flavor", "full"]
    await asyncio.to_thread(
        subprocess.run, command, env=environ, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL
    )


@asynccontextmanager
async def new_database(*, migrated: bool = True) -> AsyncIterator[str]:
    """An empty database, with the schema or quite empty, gone afterwards."""
    name = f"happy_test_{secrets.token_hex(8)}"
    await _on_server(f"CREATE DATABASE {name}")
    url = urlsplit(POSTGRES)._replace(path=f"/{name}").geturl()
    try:
        if migrated:
            await _migrate(url)
        yield url
    finally:
        await _on_server(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def cluster(
    folder: Path, size: int, *, redis: str = REDIS, variables: Mapping[str, str] | None = None
) -> AsyncIterator[list[Replica]]:
    async with new_database() as url:
        given = {"DATABASE_URL": url, "REDIS_URL": redis, "HANDY_MASTER_SECRET": "a secret for tests"}
        given |= variables or {}
        replicas = [Replica(folder / f"replica-{number}", given) for number in range(size)]
        try:
            await asyncio.gather(*(replica.start() for replica in replicas))
            yield replicas
        finally:
            for replica in replicas:
                replica.kill()
