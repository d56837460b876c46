"""What a server stores, in numbers, as its operator sees it."""

from typing import Final

from msgspec import Struct

from happy.domain.values import AccountId

EXACT_ROWS: Final = 10_000
"""Up to this number the rows of a table are counted, beyond it they are estimated."""


class TableSize(Struct, frozen=True, rename="camel"):
    """Rows and bytes of one table; `estimated` if the number of rows is no exact count."""

    table: str
    rows: int
    estimated: bool
    bytes: int


class Day(Struct, frozen=True, rename="camel"):
    """Messages that were stored on a day in UTC; `estimated` if there are more than were counted."""

    day: str
    messages: int
    estimated: bool


class LargestAccount(Struct, frozen=True, rename="camel"):
    """An account and what it has stored; bytes are counted since quotas are set."""

    account_id: AccountId
    sessions: int
    messages: int
    stored_bytes: int


class Activity(Struct, frozen=True, rename="camel"):
    """How many are in use now."""

    sessions: int
    machines: int


class Files(Struct, frozen=True, rename="camel"):
    """What the file store holds."""

    count: int
    bytes: int


class Summary(Struct, frozen=True, rename="camel"):
    """Everything. None is what would have taken long, and was not requested."""

    database_bytes: int
    active: Activity
    tables: list[TableSize]
    messages_per_day: list[Day]
    largest_accounts: list[LargestAccount] | None
    files: Files | None
