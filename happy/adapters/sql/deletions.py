"""Removal of the rows of deleted sessions and machines, in SQL."""

from msgspec import Struct

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.ports.repositories.deletions import Deletable
from happy.domain.values import Millis


class Statements(Struct, frozen=True):
    """The statements for one kind; contents are removed in this order."""

    claim: Statement[str]
    contents: tuple[Statement[str], ...]
    lock: Statement[str]
    finish: Statement[None]
    postpone: Statement[None]


def _statements(suffix: str, *contents: str) -> Statements:
    return Statements(
        claim=Statement(f"deletions.CLAIM_{suffix}", scalar),
        contents=tuple(Statement(f"deletions.REMOVE_{name}", scalar) for name in contents),
        lock=Statement(f"deletions.LOCK_{suffix}", scalar),
        finish=Statement(f"deletions.FINISH_{suffix}", scalar),
        postpone=Statement(f"deletions.POSTPONE_{suffix}", scalar),
    )


OF_KIND: dict[Deletable, Statements] = {
    "session": _statements("SESSION", "MESSAGES", "USAGE", "KEYS_OF_SESSION"),
    "machine": _statements("MACHINE", "KEYS_OF_MACHINE"),
}


class SqlDeletions:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def claim(self, kind: Deletable, now: Millis) -> str | None:
        return await self._executor.one(OF_KIND[kind].claim, now=now)

    async def remove(self, kind: Deletable, target: str, limit: int) -> int:
        for statement in OF_KIND[kind].contents:
            removed = await self._executor.all(statement, target=target, limit=limit)
            if removed:
                return len(removed)
        return 0

    async def finish(self, kind: Deletable, target: str) -> bool:
        statements = OF_KIND[kind]
        locked = await self._executor.one(statements.lock, target=target)
        if locked is not None and await self.remove(kind, target, limit=1):
            return False
        await self._executor.execute(statements.finish, target=target)
        return True

    async def postpone(self, kind: Deletable, target: str, until: Millis) -> None:
        await self._executor.execute(OF_KIND[kind].postpone, target=target, until=until)
