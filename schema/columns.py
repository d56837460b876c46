"""Helpers for columns and indexes, named as protocol: data-model#physical-schema-postgresql says."""

import re
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Constraint,
    ForeignKey,
    Index,
    MetaData,
    Table,
    Text,
    literal_column,
    or_,
    text,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql.compiler import DDLCompiler
from sqlalchemy.types import TypeEngine

from schema.types import Millis

Type = TypeEngine[Any] | type[TypeEngine[Any]]

ON_LAST = "on the last column"
"""Key in `Index.info` of the SQL for the last column, by dialect; `{}` stands for the column."""

EXPRESSION_INDEXES: set[str] = set()
"""Names of indexes on expressions, which `alembic check` cannot compare with the tables."""

_CAPITAL = re.compile(r"(?<!^)(?=[A-Z])")


def _index_name(constraint: Constraint | Index, table: Table) -> str:
    assert isinstance(constraint, Index), "only the `ix` convention uses this name"
    names = "_".join(column.name for column in constraint.columns)
    return f"{table.name}_{names}_{'key' if constraint.unique else 'idx'}"


def new_metadata() -> MetaData:
    return MetaData(
        naming_convention={
            "pk": "%(table_name)s_pkey",
            "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
            "ix": "%(index_name)s",
            "index_name": _index_name,
        }
    )


def key_of(name: str) -> str:
    """`accountId` in SQL is `account_id` in Python."""
    return _CAPITAL.sub("_", name).lower()


def required(name: str, type_: Type = Text, default: str | None = None) -> Column[Any]:
    server_default = None if default is None else text(default)
    return Column(name, type_, key=key_of(name), nullable=False, server_default=server_default)


def optional(name: str, type_: Type = Text) -> Column[Any]:
    return Column(name, type_, key=key_of(name), nullable=True)


def key(name: str = "id") -> Column[Any]:
    return Column(name, Text, key=key_of(name), primary_key=True)


def link(name: str, target: str, ondelete: str, *, primary_key: bool = False) -> Column[Any]:
    """A required reference to the `id` of another table."""
    reference = ForeignKey(f"{target}.id", ondelete=ondelete, onupdate="CASCADE")
    return Column(name, Text, reference, key=key_of(name), nullable=False, primary_key=primary_key)


def optional_link(name: str, target: str) -> Column[Any]:
    """A reference that becomes null when its target is deleted."""
    reference = ForeignKey(f"{target}.id", ondelete="SET NULL", onupdate="CASCADE")
    return Column(name, Text, reference, key=key_of(name), nullable=True)


def owner(name: str = "accountId", ondelete: str = "RESTRICT") -> Column[Any]:
    return link(name, "Account", ondelete)


def created() -> Column[Any]:
    # The default is for rows inserted by hand: every statement of ours binds both times.
    return required("createdAt", Millis, "CURRENT_TIMESTAMP")


def updated() -> Column[Any]:
    return required("updatedAt", Millis)


def unique(*keys: str) -> Index:
    return Index(None, *keys, unique=True)


def index(*keys: str) -> Index:
    return Index(None, *keys)


def newest_first(table: Table, owner_key: str, sort_key: str) -> Index:
    return Index(None, table.c[owner_key], table.c[sort_key].desc())


def by_bytes(name: str, *columns: Any, where: Any = None) -> Index:
    """An index whose last column is sorted as `schema.expressions.byte_order` does."""
    on = {"postgresql": '{} COLLATE "C"'}
    return Index(name, *columns, info={ON_LAST: on}, sqlite_where=where, postgresql_where=where)


def is_unanswered(requests: Table) -> ColumnElement[bool]:
    """Condition for linking requests without a response, as the partial index on them spells it."""
    return or_(requests.c.response.is_(None), requests.c.response == literal_column("''"))


def is_answered(requests: Table) -> ColumnElement[bool]:
    """The opposite, in the words of its own index."""
    return requests.c.response > literal_column("''")


def by_time(name: str, requests: Table, where: ColumnElement[bool]) -> Index:
    return Index(name, requests.c.updated_at, sqlite_where=where, postgresql_where=where)


def ignoring_case(name: str, column: str) -> Index:
    """An index on the expression `schema.expressions.ignoring_case` of a column."""
    EXPRESSION_INDEXES.add(name)
    on = {"postgresql": 'lower({} COLLATE "C")', "sqlite": "{} COLLATE NOCASE"}
    return Index(name, column, info={ON_LAST: on})


@compiles(CreateIndex)
def _create_index(create: CreateIndex, compiler: DDLCompiler, **options: Any) -> str:
    sql: str = compiler.visit_create_index(create, **options)  # type: ignore[no-untyped-call]
    dialect = compiler.dialect.name
    if dialect == "sqlite":  # as in existing files: SQLite can scan an index backwards
        sql = sql.replace(" DESC", "")
    index: Index = create.element
    form = index.info.get(ON_LAST, {}).get(dialect)
    if form is None:
        return sql
    last = compiler.preparer.format_column(list(index.columns)[-1])
    head, _, rest = sql.partition(f"{last})")
    return f"{head}{form.format(last)}){rest}"
