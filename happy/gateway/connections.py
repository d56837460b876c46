"""The connections of one account by scope and target: an event costs time per receiver alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from happy.limits import limit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from happy.domain.events import Audience, Scope
    from happy.domain.values import ConnectionId
    from happy.gateway.hub import Connection

Group = dict["ConnectionId", "Connection"]

MAX_CONNECTIONS = limit(
    6_000,
    "sockets",
    per="account and replica",
    then="the oldest of the session, machine or app with the most sockets is closed; its client reconnects",
)


class AccountConnections:
    """One group of user-scoped connections, and one for each session and each machine that has any."""

    __slots__ = ("_count", "_others", "_users")

    def __init__(self) -> None:
        self._count = 0
        self._users: Group = {}
        self._others: dict[tuple[Scope, str], Group] = {}

    def __bool__(self) -> bool:
        return bool(self._users or self._others)

    def __iter__(self) -> Iterator[Connection]:
        yield from self._users.values()
        for group in self._others.values():
            yield from group.values()

    def surplus(self) -> Connection | None:
        """The connection to close when there are too many: a client that leaks sockets loses its own."""
        if self._count <= MAX_CONNECTIONS:
            return None
        largest = max((self._users, *self._others.values()), key=len)
        return next((connection for connection in largest.values() if not connection.socket.closed), None)

    def add(self, connection: Connection) -> None:
        self._count += 1
        if connection.scope == "user":
            self._users[connection.id] = connection
        else:
            group = self._others.setdefault((connection.scope, connection.target), {})
            group[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """No-op if the connection was not added."""
        if connection.scope == "user":
            self._count -= self._users.pop(connection.id, None) is not None
            return
        key = (connection.scope, connection.target)
        group = self._others.get(key)
        if group is None or group.pop(connection.id, None) is None:
            return
        self._count -= 1
        if not group:
            del self._others[key]

    def receivers(self, audience: Audience) -> list[Connection]:
        """The connections in the audience, each once: a snapshot that later changes do not affect."""
        receivers = list(self._users.values())
        if audience.scope != "user" and (group := self._others.get((audience.scope, audience.target))):
            receivers += group.values()
        return receivers
