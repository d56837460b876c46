"""The light flavor: SQLite, this process and the local disk."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from happy.adapters import Adapters
from happy.adapters.disk_files import DiskFiles
from happy.adapters.light.schema import prepare
from happy.adapters.light.sqlite import open_store
from happy.adapters.local import LocalBus, LocalLink, LocalPresence
from happy.domain.errors import StartupError
from happy.domain.ports.clock import Clock
from happy.domain.values import NodeId
from happy.settings import Light


@asynccontextmanager
async def open_adapters(settings: Light, node_id: NodeId, clock: Clock) -> AsyncIterator[Adapters]:
    """Bring the database up to date and open it. Raises StartupError."""
    _make_folder(settings.data_dir)
    _make_folder(settings.database.parent)
    await asyncio.to_thread(prepare, settings.database, clock())
    _make_folder(settings.files_dir)
    public_url = settings.public_url or f"http://localhost:{settings.port}"
    async with open_store(settings.database, settings.synchronous) as store:
        yield Adapters(
            store=store,
            bus=LocalBus(),
            link=LocalLink(node_id),
            presence=LocalPresence(),
            files=DiskFiles(settings.files_dir, public_url),
        )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StartupError(f"cannot use {folder}: {error.strerror}") from None
