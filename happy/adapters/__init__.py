"""What a flavor hands to the composition root."""

from collections.abc import Callable
from dataclasses import dataclass

from happy.domain.ports.cluster import EventBus, ReplicaLink, SharedHistory
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.presence import Presence
from happy.domain.ports.store import Store
from happy.metrics import LinkState


@dataclass(frozen=True, slots=True)
class Adapters:
    """Every port of one flavor, open and ready."""

    store: Store
    bus: EventBus
    link: ReplicaLink
    presence: Presence
    files: FileStore
    history: SharedHistory | None = None
    """None: no other node serves the same accounts."""
    link_state: Callable[[], LinkState] | None = None
    """How the link to them is doing; answers without asking anybody."""
