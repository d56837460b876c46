"""Several server processes on one database and one Redis."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.api_client import ApiClient
from tests.support.databases import new_database
from tests.support.server_process import Server
from tests.support.services import REDIS

Pair = tuple[ApiClient, ApiClient]
"""The same account at two replicas."""


class Replica(Server):
    """One process of a cluster."""

    def __init__(self, home: Path, variables: Mapping[str, str]) -> None:
        super().__init__(home, flavor="full", variables={"DATA_DIR": str(home), **variables})


@asynccontextmanager
async def cluster(
    folder: Path, size: int, *, redis: str = REDIS, variables: Mapping[str, str] | None = None
) -> AsyncIterator[list[Replica]]:
    """Replicas on a new database of the tests' server."""
    async with new_database() as url, replicas_on(url, folder, size, redis, variables) as replicas:
        yield replicas


@asynccontextmanager
async def replicas_on(
    url: str, folder: Path, size: int, redis: str = REDIS, variables: Mapping[str, str] | None = None
) -> AsyncIterator[list[Replica]]:
    """Replicas on a database that has the schema."""
    given = {"DATABASE_URL": url, "REDIS_URL": redis, "HANDY_MASTER_SECRET": "a secret for tests"}
    given |= variables or {}
    replicas = [Replica(folder / f"replica-{number}", given) for number in range(size)]
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        yield replicas
    finally:
        for replica in replicas:
            replica.kill()
