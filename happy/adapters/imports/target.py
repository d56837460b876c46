"""The database that an import goes into, and the one that is not there yet."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple, Protocol

from happy.adapters.imports.tables import ImportedTable

Row = Sequence[Any]


class Refused(NamedTuple):
    """A row that this database cannot store."""

    row: Row
    reason: str


class Identity(NamedTuple):
    """What an account is given when all its rows are there: until then nobody finds it."""

    account_id: str
    public_key: str
    username: str | None
    github_user_id: str | None


class ImportTarget(Protocol):
    """Servers may use the database meanwhile; transactions are short, and writers get their turns."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """What is inserted in it is there together, or not at all."""
        ...

    async def existing(
        self, table: ImportedTable, columns: Sequence[int], keys: Sequence[tuple[Any, ...]]
    ) -> list[Row]:
        """Rows whose `columns` have one of these values."""
        ...

    async def insert(self, table: ImportedTable, rows: Sequence[Row]) -> list[Refused]:
        """Add rows whose keys are free; those that cannot be stored are returned."""
        ...

    async def next_revision(self) -> int:
        """The number of the next revocation; replicas read what has a higher one than they know."""
        ...

    async def identify(self, identity: Identity) -> None:
        """Give an account its key and names."""
        ...


class NothingYet:
    """An empty target, for a dry run: nothing is created."""

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        yield

    async def existing(
        self,
        table: ImportedTable,  # noqa: ARG002
        columns: Sequence[int],  # noqa: ARG002
        keys: Sequence[tuple[Any, ...]],  # noqa: ARG002
    ) -> list[Row]:
        return []

    async def insert(self, table: ImportedTable, rows: Sequence[Row]) -> list[Refused]:  # noqa: ARG002
        return []

    async def next_revision(self) -> int:
        return 0

    async def identify(self, identity: Identity) -> None:
        """Nobody is there."""


class LookingOnly(NothingYet):
    """What is here is compared; nothing is added."""

    def __init__(self, target: ImportTarget) -> None:
        self._target = target

    async def existing(
        self, table: ImportedTable, columns: Sequence[int], keys: Sequence[tuple[Any, ...]]
    ) -> list[Row]:
        return await self._target.existing(table, columns, keys)
