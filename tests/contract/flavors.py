"""How to open the adapters of each flavor, empty, for the suites that hold them to the ports."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from happy.adapters.light.local import LocalBus, LocalLink, LocalPresence
from happy.adapters.light.schema import prepare
from happy.adapters.light.sqlite import open_store
from happy.domain.ports.pubsub import EventBus, NodeLink, Presence
from happy.domain.ports.repository import Store
from happy.domain.values import AccountId, NodeId
from tests.seeds import NOW

FLAVORS = ("light",)

OpenStore = Callable[[], AbstractAsyncContextManager[Store]]
"""Opens the test's own database; more than once gives further connections to the same one."""


@dataclass
class Node:
    """One server process as the ports see it, and what reached it from others."""

    bus: EventBus
    link: NodeLink
    presence: Presence
    frames: list[tuple[AccountId, bytes]] = field(default_factory=list)
    messages: list[tuple[NodeId, bytes]] = field(default_factory=list)


def store_opener(flavor: str, folder: Path) -> OpenStore:
    assert flavor == "light", "no other flavor exists yet"
    return lambda: _light_store(folder / "happy.sqlite")


@asynccontextmanager
async def _light_store(path: Path) -> AsyncIterator[Store]:
    await asyncio.to_thread(prepare, path, NOW)
    async with open_store(path) as store:
        yield store


@asynccontextmanager
async def open_nodes(flavor: str) -> AsyncIterator[tuple[Node, Node]]:
    """Two nodes of one cluster; the light flavor has one, which then stands for both."""
    assert flavor == "light", "no other flavor exists yet"
    node = Node(LocalBus(), LocalLink(NodeId("here")), LocalPresence())
    yield node, node
