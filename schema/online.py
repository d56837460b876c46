"""Changes of tables that exist, and that servers may use meanwhile: functions for migrations.

On PostgreSQL nobody waits for an index: it is built outside of the transaction. What an interrupted migration
has left is completed by the next attempt: a column that exists stays as it is, an index that is not whole is
dropped and built again.
"""

from typing import Any, Final

import sqlalchemy as sa
from alembic import op

LOCK_TIMEOUT = "SET LOCAL lock_timeout = '2s'"
"""A statement that waits for the lock of a table makes everybody wait behind it: so long, and no longer."""

BROKEN: Final = """
SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
WHERE relname = :name AND pg_table_is_visible(pg_class.oid) AND NOT indisvalid
"""
BEING_BUILT: Final = """
SELECT count(*) FROM pg_stat_progress_create_index JOIN pg_class ON pg_class.oid = index_relid
WHERE relname = :name AND pg_table_is_visible(pg_class.oid)
"""
"""By a process that was killed: PostgreSQL goes on without it."""


def add_column(table: str, column: sa.Column[Any]) -> None:
    """A nullable column without a default, which concerns no row that exists."""
    op.add_column(table, column, if_not_exists=True if _online() else None)


def create_index(name: str, on: str) -> None:
    """`on` is the table, its columns in parentheses, and a condition if there is one, in SQL.

    It is the last thing that a migration does: on PostgreSQL, what came before it is committed.
    """
    if not _online():
        op.execute(f'CREATE INDEX "{name}" ON {on}')
        return
    with op.get_context().autocommit_block():
        while _count(BEING_BUILT, name):
            op.execute("SELECT pg_sleep(0.2)")
        if _count(BROKEN, name):
            op.execute(f'DROP INDEX CONCURRENTLY "{name}"')
        op.execute(f'CREATE INDEX CONCURRENTLY IF NOT EXISTS "{name}" ON {on}')
    op.execute(LOCK_TIMEOUT)


def _online() -> bool:
    """Whether others may use the tables: on PostgreSQL, unless all is made in one transaction."""
    return bool(op.get_context().opts.get("online"))


def _count(query: str, name: str) -> int:
    return int(op.get_bind().execute(sa.text(query), {"name": name}).scalar() or 0)
