"""What the ports cannot write: profiles as linking with GitHub leaves them, and rows of other servers."""

from typing import Any

import msgspec
import sqlalchemy as sa

from happy.adapters.sql.statement import Compiled, Statement, scalar
from happy.domain.ports.store import Store
from happy.domain.social import Status
from happy.domain.values import AccountId, Millis
from schema.compile import compile_one, dialect_of
from schema.tables import accounts, github_users, user_relationships
from tests.support import factories
from tests.support.factories import NOW


class Adhoc(Statement[None]):
    """A statement of the tests' own, compiled for the database it meets; constants are part of it."""

    def __init__(self, query: sa.Executable) -> None:
        super().__init__("adhoc", scalar)
        self._query = query

    def compiled(self, dialect: str) -> Compiled:
        return msgspec.convert(compile_one(self._query, dialect_of(dialect)), Compiled)


async def execute(store: Store, query: sa.Executable) -> None:
    await store.write(lambda tx: tx.people._executor.execute(Adhoc(query)))  # type: ignore[attr-defined]


async def person(store: Store, github: str | None = None, **columns: Any) -> AccountId:
    """An account with these columns; `github` is the JSON text of a linked profile."""
    account_id = await factories.account(store)
    await describe(store, account_id, github, **columns)
    return account_id


async def describe(store: Store, account_id: AccountId, github: str | None = None, **columns: Any) -> None:
    if github is not None:
        await execute(
            store,
            sa.insert(github_users).values(id=account_id, profile=github, created_at=NOW, updated_at=NOW),
        )
        columns["github_user_id"] = account_id
    if columns:
        await execute(store, sa.update(accounts).where(accounts.c.id == account_id).values(**columns))


async def relate(
    store: Store,
    owner: AccountId,
    other: AccountId,
    status: Status,
    now: Millis = NOW,
    notified_at: Millis | None = None,
) -> None:
    """A row in any state, whatever the other direction says."""
    await execute(
        store,
        sa.insert(user_relationships).values(
            from_user_id=owner,
            to_user_id=other,
            status=status,
            created_at=now,
            updated_at=now,
            last_notified_at=notified_at,
        ),
    )
