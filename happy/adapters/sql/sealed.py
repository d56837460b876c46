"""Sealed values of all accounts, in SQL."""

from msgspec import Struct

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.sealed import SealedCount, SealedKind, SealedValue


class Statements(Struct, frozen=True):
    """What can be said of one kind."""

    counts: Statement[SealedCount]
    page: Statement[SealedValue]
    replace: Statement[str]


def _statements(suffix: str) -> Statements:
    return Statements(
        counts=Statement(f"sealed.COUNTS_{suffix}", SealedCount),
        page=Statement(f"sealed.PAGE_{suffix}", SealedValue),
        replace=Statement(f"sealed.REPLACE_{suffix}", scalar),
    )


OF_KIND: dict[SealedKind, Statements] = {
    "vendor token": _statements("VENDOR"),
    "GitHub token": _statements("GITHUB"),
}


class SqlSealed:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def counts(self, kind: SealedKind) -> list[SealedCount]:
        return await self._executor.all(OF_KIND[kind].counts)

    async def page(self, kind: SealedKind, after: str, key_id: str, limit: int) -> list[SealedValue]:
        return await self._executor.all(OF_KIND[kind].page, after=after, key_id=key_id, limit=limit)

    async def replace(self, kind: SealedKind, value: SealedValue, blob: bytes, key_id: str) -> bool:
        values = {"id": value.id, "before": value.blob, "token": blob, "key_id": key_id}
        return await self._executor.one(OF_KIND[kind].replace, **values) is not None
