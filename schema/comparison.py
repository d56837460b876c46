"""How a database is compared with `schema.tables`: the options of Alembic, for its commands and for ours."""

from typing import Any, Final

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection

from schema.columns import EXPRESSION_INDEXES
from schema.tables import metadata


def include_name(name: str | None, kind: str, _parents: Any) -> bool:
    # Ignore tables of the server that created the database, such as those of its own migrations.
    return kind != "table" or name in metadata.tables


def include_object(_item: Any, name: str | None, kind: str, _reflected: bool, _other: Any) -> bool:  # noqa: FBT001
    # Reflection returns an expression for such an index, and `schema.tables` has a column.
    return kind != "index" or name not in EXPRESSION_INDEXES


OPTIONS: Final[dict[str, Any]] = {
    "target_metadata": metadata,
    "compare_type": True,
    "compare_server_default": True,
    "include_name": include_name,
    "include_object": include_object,
}


def lacks(connection: Connection) -> list[str]:
    """What differs from `schema.tables`, other than by tables, columns and indexes that it does not know."""
    context = MigrationContext.configure(connection, opts=dict(OPTIONS))
    found = [
        change
        for entry in compare_metadata(context, metadata)
        for change in (entry if isinstance(entry, list) else [entry])
    ]
    return [str(change) for change in found if not str(change[0]).startswith("remove_")]
