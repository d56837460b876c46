"""Replicas as PostgreSQL knows them: by the names of their connections, and which database they mean."""

from typing import Any, Final

import asyncpg

from happy.adapters.full.postgres.dsn import Address

NAMED: Final = "happy-server "
"""What the name of a replica's connections begins with; those of commands are `happy-server`."""

SILENT_SECONDS: Final = 10
"""A replica sends a query a second; PostgreSQL keeps connections of a host that broke down for hours."""

RUNNING: Final = f"""
SELECT DISTINCT application_name FROM pg_stat_activity
 WHERE datname = current_database() AND starts_with(application_name, '{NAMED}')
   AND state_change > clock_timestamp() - interval '{SILENT_SECONDS} s'
"""  # noqa: S608 - constants
IDENTITY: Final = """
SELECT system_identifier || '.' || oid
  FROM pg_control_system(), pg_database WHERE datname = current_database()
"""


async def identity(connection: Any, address: Address) -> str:
    """The same by whatever address, or pooler, the database is reached, and another one for any other."""
    try:
        return str(await connection.fetchval(IDENTITY))
    except asyncpg.PostgresError:  # other databases that speak its protocol have no such function
        return address.display


async def running(connection: Any) -> set[str]:
    """The replicas with connections of their own, as they call themselves; none behind a pooler is seen."""
    found = await connection.fetch(RUNNING)
    return {row[0].removeprefix(NAMED) for row in found}
