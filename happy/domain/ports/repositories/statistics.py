"""Numbers of rows and their sizes, for the metrics and the operator. None costs more on a larger database."""

from typing import Protocol

from msgspec import Struct

from happy.domain.statistics import Activity, LargestAccount


class RowCounts(Struct, frozen=True):
    """Rows by table; of large tables an estimate."""

    accounts: int
    sessions: int
    messages: int
    machines: int


class MeasuredTable(Struct, frozen=True):
    """A table: its size in bytes, or where the database does not know it the average size of a row."""

    table: str
    rows: int
    bytes: int | None
    row_bytes: int | None


class StatisticsRepository(Protocol):
    async def rows(self) -> RowCounts: ...

    async def tables(self) -> list[MeasuredTable]:
        """Every table; more than `EXACT_ROWS` rows are an estimate."""
        ...

    async def database_bytes(self) -> int: ...

    async def active(self) -> Activity: ...

    async def messages_between(self, first: str, end: str, limit: int) -> int:
        """Messages with ids from `first` to before `end`, counted up to `limit`."""
        ...

    async def largest_accounts(self, limit: int) -> list[LargestAccount]:
        """Those with the most messages. Reads every session."""
        ...
