"""Opens the adapters of the flavor that the settings are for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from happy.adapters import Adapters
from happy.domain.ports.clock import Clock
from happy.domain.ports.delivery import DropReport
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.store import Store
from happy.domain.values import ReplicaId
from happy.settings import Full, Light


@asynccontextmanager
async def open_adapters(
    settings: Light | Full, replica_id: ReplicaId, clock: Clock, report: DropReport
) -> AsyncIterator[Adapters]:
    """The adapters of the flavor; drivers of the other flavor need not be installed.

    `report` is called for what is not delivered on its way to other replicas, or from them.
    Raises StartupError.
    """
    match settings:
        case Light():
            from happy.adapters import light

            async with light.open_adapters(settings, replica_id, clock) as adapters:
                yield adapters
        case Full():
            from happy.adapters import full

            async with full.open_adapters(settings, replica_id, report) as adapters:
                yield adapters


@asynccontextmanager
async def open_store_beside(settings: Light | Full) -> AsyncIterator[Store]:
    """The configured database for a command, also while servers use it. Raises StartupError."""
    match settings:
        case Light():
            from happy.adapters import light

            async with light.open_beside(settings) as store:
                yield store
        case Full():
            from happy.adapters import full

            async with full.open_beside(settings) as store:
                yield store


@asynccontextmanager
async def open_files_beside(settings: Light | Full) -> AsyncIterator[FileStore]:
    """The file store for a command, also while servers use it: nothing is made or cleaned up.

    Raises StartupError.
    """
    folder = settings.files_dir if isinstance(settings, Light) else settings.files
    if isinstance(folder, Path):
        from happy.adapters.disk_files import DiskFiles

        yield DiskFiles(folder, "")
        return
    from happy.adapters.full.s3 import files as s3_files

    async with s3_files.open_files(folder) as files:
        yield files
