"""Opens the adapters of the flavor that the settings are for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from happy.adapters import Adapters
from happy.domain.ports.clock import Clock
from happy.domain.ports.delivery import DropReport
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
