"""The light flavor: SQLite, this process and the local disk."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from happy.adapters import Adapters
from happy.adapters.disk_files import DiskFiles
from happy.adapters.file_system import make_private_folder, network_file_system
from happy.adapters.light.file_lock import Held, holder_on_another_machine, locked, locked_everywhere
from happy.adapters.light.schema import MISSING, prepare, require_usable, startup_errors
from happy.adapters.light.sqlite import SqliteStore, open_store
from happy.adapters.memory import MemoryBus, MemoryLink, MemoryPresence
from happy.domain.errors import StartupError
from happy.domain.ports.clock import Clock
from happy.domain.values import ReplicaId
from happy.settings import Light

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_adapters(settings: Light, replica_id: ReplicaId, clock: Clock) -> AsyncIterator[Adapters]:
    """Bring the database up to date and open it. Raises StartupError."""
    make_private_folder(settings.data_dir)
    make_private_folder(settings.database.parent)
    with exclusive_lock(settings.database):
        await asyncio.to_thread(prepare, settings.database, clock())
        make_private_folder(settings.files_dir)
        public_url = settings.public_url or f"http://localhost:{settings.port}"
        async with _open_checked_store(settings) as store:
            files = DiskFiles(settings.files_dir, public_url)
            await files.sweep()
            yield Adapters(
                store=store,
                bus=MemoryBus(),
                link=MemoryLink(replica_id),
                presence=MemoryPresence(),
                files=files,
            )


@asynccontextmanager
async def open_beside(settings: Light) -> AsyncIterator[SqliteStore]:
    """The store for a command, also while a server has it open; nothing is created or migrated.

    Raises StartupError. SQLite serializes the writes of several processes of one machine.
    """
    database = settings.database
    if not database.exists():
        raise StartupError(MISSING.format(database))
    holder = holder_on_another_machine(database.with_name(f"{database.name}.lock"))
    if holder and network_file_system(database.parent):
        raise StartupError(
            f"{database} is in use by another machine's happy-server, {holder}: run the command there"
        )
    await asyncio.to_thread(require_usable, database)
    async with _open_checked_store(settings) as store:
        yield store


@asynccontextmanager
async def _open_checked_store(settings: Light) -> AsyncIterator[SqliteStore]:
    async with AsyncExitStack() as stack:
        with startup_errors(settings.database):
            store = await stack.enter_async_context(open_store(settings.database, settings.synchronous))
        yield store


@contextmanager
def exclusive_lock(database: Path) -> Iterator[None]:
    """Raises StartupError when another server has the database: neither would see the events of the other."""
    file = database.with_name(f"{database.name}.lock")
    kind = network_file_system(database.parent)
    if kind is not None:
        log.warning(
            "%s is on a network file system (%s), and a connection that breaks may damage it:"
            " keep it on a local disk",
            database,
            kind,
        )
    with ExitStack() as stack:
        try:
            supported = stack.enter_context(locked_everywhere(file) if kind else locked(file, wait=False))
        except Held as held:
            raise StartupError(
                f"{database} is in use by another happy-server, {held}: stop that one,"
                " or set HAPPY_SERVER_LIGHT_DATA_DIR to another folder"
            ) from None
        except OSError as error:
            raise StartupError(f"cannot use {database.parent}: {error.strerror}") from None
        if not supported:
            log.warning("%s has no file locks: make sure that only one server uses it", database.parent)
        yield
