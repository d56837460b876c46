"""The full flavor: PostgreSQL, Redis, and an object store or a local folder."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from redis.exceptions import RedisError

from happy.adapters import Adapters
from happy.adapters.disk_files import DiskFiles
from happy.adapters.file_system import make_private_folder
from happy.adapters.full.postgres import replicas, schema
from happy.adapters.full.postgres.connecting import startup_errors
from happy.adapters.full.postgres.dsn import parse
from happy.adapters.full.postgres.pool import pool_settings
from happy.adapters.full.postgres.store import PostgresStore, open_store
from happy.adapters.full.redis import address as redis_address
from happy.adapters.full.redis.client import Redis, open_redis
from happy.adapters.full.redis.envelopes import Retention
from happy.adapters.full.redis.replicas import lease
from happy.adapters.full.redis.rights import require_rights
from happy.adapters.full.running import own_name
from happy.adapters.memory import MemoryBus, MemoryLink, MemoryPresence
from happy.domain.errors import StartupError, Unavailable
from happy.domain.ports.delivery import DropReport
from happy.domain.ports.filestore import FileStore
from happy.domain.values import ReplicaId
from happy.settings import S3, Full

MIN_RETENTION_SECONDS = 120
RIGHTS_SECONDS = 10.0
COMMAND_CONNECTIONS = 2


@asynccontextmanager
async def open_adapters(settings: Full, replica_id: ReplicaId, report: DropReport) -> AsyncIterator[Adapters]:
    """Connect to everything and check that it is usable. Raises StartupError."""
    name = own_name()
    async with open_checked_store(settings, name) as store, open_files(settings) as files:
        if settings.redis_url is None:
            yield Adapters(store, MemoryBus(), MemoryLink(replica_id), MemoryPresence(), files)
            return
        retention, authority = retention_of(settings), settings.redis_authority
        async with store.connection() as connection:
            database = await replicas.identity(connection, parse(settings.database_url))
        opening = open_checked_redis(
            settings.redis_url, replica_id, retention, authority, report, lease(database, name)
        )
        async with opening as redis:
            yield Adapters(
                store,
                redis.bus,
                redis.replica_link,
                redis.presence,
                files,
                history=redis.history,
                buckets=redis.buckets,
                sign_ins=redis.sign_ins,
                link_state=redis.state,
            )


def retention_of(settings: Full) -> Retention:
    """Redis keeps what the light flavor keeps in memory, and enough for replicas if recovery is off."""
    recovery = settings.recovery
    seconds = recovery.kept_seconds if recovery.seconds else MIN_RETENTION_SECONDS
    return Retention(seconds=seconds, bytes=recovery.account_bytes, total_bytes=recovery.total_bytes)


@asynccontextmanager
async def open_checked_redis(
    url: str,
    replica_id: ReplicaId,
    retention: Retention,
    authority: Path | None = None,
    report: DropReport | None = None,
    lease_text: str = "1",
) -> AsyncIterator[Redis]:
    """Redis, once it is reached and allows what is needed. Raises StartupError."""
    address = redis_address.parse(url, authority)
    address.warn()
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(RIGHTS_SECONDS):
                await require_rights(address)
            opening = open_redis(url, replica_id, retention, authority, report, lease_text)
            redis = await stack.enter_async_context(opening)
        except (Unavailable, RedisError, OSError) as error:
            reason = str(error) if isinstance(error, Unavailable) else redis_address.explanation(error)
            raise StartupError(f"cannot use Redis at {address.display}: {reason}") from None
        yield redis


@asynccontextmanager
async def open_checked_store(settings: Full, name: str | None = None) -> AsyncIterator[PostgresStore]:
    """The store, once the database is reached and has, or was given, the schema of this version.

    `name` is that of a replica.
    """
    address = parse(settings.database_url)
    address.warn()
    pool = pool_settings(address, settings.postgres_connections, name)
    async with AsyncExitStack() as stack:
        with startup_errors(address):
            store = await stack.enter_async_context(open_store(settings.database_url, pool))
            async with store.connection() as connection:
                await schema.ensure_usable(connection, address)
            await store.ping()
        yield store


@asynccontextmanager
async def open_beside(settings: Full) -> AsyncIterator[PostgresStore]:
    """The store for a command, with few connections. Raises StartupError; takes over no foreign database."""
    address = parse(settings.database_url)
    async with AsyncExitStack() as stack:
        with startup_errors(address):
            pool = pool_settings(address, COMMAND_CONNECTIONS)
            store = await stack.enter_async_context(open_store(settings.database_url, pool))
            async with store.connection() as connection:
                await schema.require_usable(connection, address)
        yield store


@asynccontextmanager
async def open_files(settings: Full) -> AsyncIterator[FileStore]:
    match settings.files:
        case Path() as folder:
            make_private_folder(folder)
            local = DiskFiles(folder, settings.public_url or f"http://localhost:{settings.port}")
            await local.sweep()
            yield local
        case S3():
            from happy.adapters.full.s3 import client as s3_client
            from happy.adapters.full.s3 import files as s3_files

            s3_client.warn_of_tokens(settings.files, settings.public_url)
            async with s3_files.open_files(settings.files) as files:
                yield files
