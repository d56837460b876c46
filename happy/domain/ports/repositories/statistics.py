"""Numbers of rows, for the metrics."""

from typing import Protocol

from msgspec import Struct


class RowCounts(Struct, frozen=True):
    """Rows by table; of large tables an estimate."""

    accounts: int
    sessions: int
    messages: int
    machines: int


class StatisticsRepository(Protocol):
    async def rows(self) -> RowCounts: ...
