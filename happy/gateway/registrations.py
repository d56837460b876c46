"""RPC methods that connections of this replica have registered (protocol: realtime#registration)."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from happy.limits import limit

if TYPE_CHECKING:
    from happy.domain.events import Scope
    from happy.domain.values import AccountId, ConnectionId
    from happy.gateway.hub import Connection

RANKS: dict[Scope, int] = {"machine": 2, "session": 1, "user": 0}
"""Of connections that registered the same RPC method the highest is called."""

MAX_METHODS = limit(
    1_000, "RPC methods registered by a connection", per="connection", then="`rpc-error`: `Too many methods`"
)
MAX_ACCOUNT_METHODS = limit(
    20_000, "RPC methods registered", per="account and replica", then="`rpc-error`: `Too many methods`"
)
"""Clients register some twenty methods for each session and machine."""


class RpcRegistrations:
    """Implements the domain's `LocalConnections`."""

    def __init__(self) -> None:
        self._serving: dict[tuple[AccountId, str], dict[ConnectionId, Connection]] = {}
        self._counts: Counter[AccountId] = Counter()

    def register(self, connection: Connection, method: str) -> bool:
        """Serve `method`; registering again makes this the newest registration. False: there are too many."""
        serving = self._serving.get((connection.account_id, method), {})
        if serving.pop(connection.id, None) is None:
            if self._is_full(connection):
                return False
            self._counts[connection.account_id] += 1
            self._serving[connection.account_id, method] = serving
        serving[connection.id] = connection
        connection.methods.add(method)
        return True

    def _is_full(self, connection: Connection) -> bool:
        of_account = self._counts[connection.account_id]
        return len(connection.methods) >= MAX_METHODS or of_account >= MAX_ACCOUNT_METHODS

    def unregister(self, connection: Connection, method: str) -> None:
        connection.methods.discard(method)
        key = (connection.account_id, method)
        serving = self._serving.get(key)
        if serving is None or serving.pop(connection.id, None) is None:
            return
        if not serving:
            del self._serving[key]
        self._counts[connection.account_id] -= 1
        if not self._counts[connection.account_id]:
            del self._counts[connection.account_id]

    def serving(self, account_id: AccountId, method: str, *, besides: ConnectionId) -> Connection | None:
        best: Connection | None = None
        for connection in reversed(self._serving.get((account_id, method), {}).values()):
            if connection.id == besides or connection.socket.closed:  # it is removed after its last event
                continue
            if best is None or RANKS[connection.scope] > RANKS[best.scope]:
                best = connection
        return best

    def serves(self, account_id: AccountId, method: str, connection_id: ConnectionId) -> Connection | None:
        return self._serving.get((account_id, method), {}).get(connection_id)
