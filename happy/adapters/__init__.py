"""What a flavor hands to the composition root: an adapter for every port."""

from collections.abc import Callable
from dataclasses import dataclass

from happy.domain.ports.cluster import EventBus, ReplicaLink, SharedHistory
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.presence import Presence
from happy.domain.ports.shared_buckets import SharedBuckets
from happy.domain.ports.sign_ins import SharedSignIns
from happy.domain.ports.store import Store
from happy.metrics import LinkState


@dataclass(frozen=True, slots=True)
class Adapters:
    """The adapters of one flavor, open and ready to use."""

    store: Store
    bus: EventBus
    link: ReplicaLink
    presence: Presence
    files: FileStore
    history: SharedHistory | None = None
    """None: there is only one replica."""
    buckets: SharedBuckets | None = None
    """Rate limits that all replicas share; None: there is only one."""
    sign_ins: SharedSignIns | None = None
    """Sign-ins that all replicas remember; None: there is only one."""
    link_state: Callable[[], LinkState] | None = None
    """State of the link to other replicas, without a round trip; None: there are none."""
