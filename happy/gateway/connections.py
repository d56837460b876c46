"""The connections of one account by scope and target: an event costs time per receiver alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from happy.domain.events import Audience, Scope
    from happy.domain.values import ConnectionId
    from happy.gateway.hub import Connection

Group = dict["ConnectionId", "Connection"]


class AccountConnections:
    """One group of user-scoped connections, and one for each session and each machine that has any."""

    __slots__ = ("_others", "_users")

    def __init__(self) -> None:
        self._users: Group = {}
        self._others: dict[tuple[Scope, str], Group] = {}

    def __bool__(self) -> bool:
        return bool(self._users or self._others)

    def __iter__(self) -> Iterator[Connection]:
        yield from self._users.values()
        for group in self._others.values():
            yield from group.values()

    def add(self, connection: Connection) -> None:
        if connection.scope == "user":
            self._users[connection.id] = connection
        else:
            group = self._others.setdefault((connection.scope, connection.target), {})
            group[connection.id] = connection

    def remove(self, connection: Connection) -> None:
        """No-op if the connection was not added."""
        if connection.scope == "user":
            self._users.pop(connection.id, None)
            return
        key = (connection.scope, connection.target)
        group = self._others.get(key)
        if group is not None and group.pop(connection.id, None) is not None and not group:
            del self._others[key]

    def receivers(self, audience: Audience) -> list[Connection]:
        """The connections in the audience, each once: a snapshot that later changes do not affect."""
        receivers = list(self._users.values())
        if audience.scope != "user" and (group := self._others.get((audience.scope, audience.target))):
            receivers += group.values()
        return receivers
