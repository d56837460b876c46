"""Machines: the computers whose daemons start sessions."""

from msgspec import Struct

from happy.domain.values import AccountId, MachineId, Millis


class Machine(Struct, frozen=True):
    """One daemon host. `metadata` and `daemon_state` are opaque; `seq` never changes."""

    id: MachineId
    account_id: AccountId
    seq: int
    metadata: str
    metadata_version: int
    daemon_state: str | None
    daemon_state_version: int
    data_encryption_key: bytes | None
    active: bool
    last_active_at: Millis
    created_at: Millis
    updated_at: Millis
