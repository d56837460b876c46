"""List queries that leave out the contents of large rows: these are read one at a time."""

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa

from schema.limits import LARGE_ROW, LIST_BYTES
from schema.types import Json


class Listing:
    """An ordered SELECT whose columns `contents` may hold megabytes; the first of them is never null.

    On PostgreSQL these columns are null in large rows and in rows beyond the size limit (`schema.limits`).
    SQLite returns rows one by one: the reader stops at the limit and runs `NAME_KEYS` for the other keys.
    """

    def __init__(self, select: sa.Select[Any], key: sa.Column[Any], *contents: sa.Column[Any]) -> None:
        self._select = select
        self._key = key
        self._contents = contents

    def statements(self, name: str, dialect: str) -> Iterator[tuple[str, sa.Select[Any]]]:
        if dialect == "postgresql":
            yield name, self._bounded()
        else:
            yield name, self._select
            yield f"{name}_KEYS", self._select.with_only_columns(self._key)

    def _bounded(self) -> sa.Select[Any]:
        size: Any = sum(map(_size, self._contents[1:]), _size(self._contents[0]))
        rows = self._select.add_columns(size.label("size")).subquery("rows")
        *columns, size = rows.c
        small = size <= LARGE_ROW
        so_far = sa.func.sum(sa.case((small, size), else_=0)).over(rows=(None, 0))
        contents = {column.key for column in self._contents}
        shown = [
            sa.case((sa.and_(small, so_far <= LIST_BYTES), column)) if column.key in contents else column
            for column in columns
        ]
        return sa.select(*shown)


def _size(column: sa.Column[Any]) -> Any:
    if isinstance(column.type, Json):  # the text of a large document is not produced just to be measured
        text = sa.func.octet_length(sa.cast(column, sa.Text))
        stored = sa.func.pg_column_size(column)
        return sa.case((stored > LARGE_ROW, LARGE_ROW + 1), else_=text)
    size = sa.func.octet_length(column)
    return sa.func.coalesce(size, 0) if column.nullable else size
