"""Many rows at once, made by the database itself: a million take seconds."""

from typing import Any

import sqlalchemy as sa

from schema.types import Json, Millis
from tests.support.rows import Rows

MESSAGE = '{"t":"encrypted","c":"%s"}'


def numbers(count: int) -> Any:
    """The column of a table that counts from 1."""
    table = sa.select(sa.literal(1, sa.Integer).label("number")).cte("numbers", recursive=True)
    following = sa.select(table.c.number + 1).where(table.c.number < count)
    return table.union_all(following).c.number


def named(prefix: str, number: Any) -> Any:
    return sa.literal(prefix, sa.Text).concat(sa.cast(number, sa.Text))


def text(value: str) -> Any:
    return sa.literal(value, sa.Text)


def moment(value: Any) -> Any:
    """Milliseconds, as a literal or an expression, as databases store them."""
    plain = sa.literal(value, sa.BigInteger) if isinstance(value, int) else sa.cast(value, sa.BigInteger)
    return Millis().bind_expression(plain)


def json(value: str) -> Any:
    return Json().bind_expression(text(value))


async def insert(rows: Rows, table: sa.Table, columns: dict[str, Any]) -> None:
    """As many rows as there are numbers in the expressions of the columns."""
    await rows(sa.insert(table).from_select(list(columns), sa.select(*columns.values())))


async def messages(rows: Rows, table: sa.Table, session_id: Any, seq: Any, size: int = 8) -> None:
    """Messages of that many bytes, numbered by an expression of `numbers`."""
    columns = {
        "id": session_id.concat(named("-", seq)),
        "session_id": session_id,
        "local_id": session_id.concat(named("-local-", seq)),
        "seq": seq,
        "content": json(MESSAGE % ("x" * size)),
        "created_at": moment(1_700_000_000_000),
        "updated_at": moment(1_700_000_000_000),
    }
    await insert(rows, table, columns)
