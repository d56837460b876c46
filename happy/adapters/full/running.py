"""Whether replicas run on a database: what must have it alone refuses, and names them.

Replicas with Redis say it there, by their lease; those that are connected to PostgreSQL itself, by the
names of these connections. Both are gone within seconds after a replica was killed.
"""

import asyncio
import logging
import os
import socket

from redis.exceptions import RedisError

from happy.adapters.full.postgres import replicas as in_postgres
from happy.adapters.full.postgres.connecting import connect, startup_errors
from happy.adapters.full.postgres.dsn import parse
from happy.adapters.full.redis import address as redis_address
from happy.adapters.full.redis import replicas as in_redis
from happy.domain.errors import StartupError
from happy.settings import Full

HOST_CHARACTERS = 31
"""Of a host's name: the name of a connection to PostgreSQL has 63 bytes."""

REDIS_SECONDS = 10.0

log = logging.getLogger(__name__)


def own_name() -> str:
    """What this process is called where others look: `process 812 on attic`."""
    host = socket.gethostname().encode("ascii", "replace").decode()[:HOST_CHARACTERS]
    return f"process {os.getpid()} on {host}"


async def require_none(settings: Full) -> None:
    """Raises StartupError that names the replicas which run on the database."""
    address = parse(settings.database_url)
    with startup_errors(address):
        connection = await connect(address)
        try:
            database = await in_postgres.identity(connection, address)
            found = await in_postgres.running(connection)
        finally:
            await connection.close()
    if settings.redis_url is not None:
        found |= await _in_redis(redis_address.parse(settings.redis_url, settings.redis_authority), database)
    if found:
        who = f"another happy-server, {found.pop()}" if len(found) == 1 else f"other servers, {_all(found)}"
        raise StartupError(f"the database {address.display} is in use by {who}: stop what runs there first")


def _all(names: set[str]) -> str:
    return ", ".join(sorted(names))


async def _in_redis(address: redis_address.RedisAddress, database: str) -> set[str]:
    """Where Redis is not there yet, as after a disaster, it keeps nobody from restoring."""
    try:
        async with asyncio.timeout(REDIS_SECONDS):
            return await in_redis.running(address, database)
    except (RedisError, OSError) as error:
        log.warning(
            "Redis at %s cannot say whether a server runs, see that none does: %s",
            address.display,
            redis_address.explanation(error),
        )
        return set()
