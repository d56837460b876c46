"""The migrations, the tables, the generated SQL and the protocol describe the same database.

protocol: data-model#tables
"""

import re
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import create_async_engine

import schema
from schema import compile as schema_compile
from schema import ddl, migrate
from schema import revisions as history
from schema.codegen import stale
from schema.compatibility import TABLE
from schema.tables import metadata
from tests.contract.data_model import DATA_MODEL, columns_of, indexes_of, keys_of
from tests.contract.existing_postgres import is_ours

SQLITE_SQL = Path(schema.__file__).parent / "sqlite.sql"


def describe(connection: sa.Connection) -> dict[str, Any]:
    """What the database itself says about its tables, in a comparable form."""
    inspector = sa.inspect(connection)
    names = [name for name in inspector.get_table_names() if name not in ("alembic_version", TABLE)]
    return {name: describe_table(inspector, name) for name in names}


def describe_table(inspector: sa.Inspector, name: str) -> dict[str, Any]:
    columns = inspector.get_columns(name)
    indexes = inspector.get_indexes(name)
    return {
        "columns": [(c["name"], str(c["type"]), c["nullable"], c["default"]) for c in columns],
        "primary key": inspector.get_pk_constraint(name),
        "foreign keys": sorted(map(str, inspector.get_foreign_keys(name))),
        "unique": inspector.get_unique_constraints(name),
        "checks": inspector.get_check_constraints(name),
        "indexes": sorted(
            str((i["name"], i["column_names"], i.get("column_sorting"), i["unique"])) for i in indexes
        ),
    }


def in_sqlite(path: Path, action: Any) -> Any:
    with migrate.sqlite_connection(path) as connection:
        return action(connection)


async def in_postgres(url: str, action: Any) -> Any:
    engine = create_async_engine(url.replace("postgresql:", "postgresql+asyncpg:"), poolclass=sa.NullPool)
    async with engine.begin() as connection:
        result = await connection.run_sync(action)
    await engine.dispose()
    return result


def up_down_up(connection: sa.Connection) -> None:
    migrate.upgrade(connection)
    migrate.downgrade(connection, "base")
    migrate.upgrade(connection)


def test_generated_schema_files_are_up_to_date() -> None:
    assert [] == stale(ddl.artifacts())


def test_compiled_queries_are_up_to_date() -> None:
    assert [] == stale(schema_compile.artifacts())


def test_revisions_are_numbered_without_a_gap() -> None:
    assert [f"{number:04}" for number in range(1, len(history.REVISIONS) + 1)] == list(migrate.revisions())
    assert history.REVISIONS[-1] == history.HEAD


def test_sqlite_is_the_same_by_migrations_by_tables_and_by_generated_sql(tmp_path: Path) -> None:
    in_sqlite(tmp_path / "migrated", migrate.upgrade)
    in_sqlite(tmp_path / "declared", metadata.create_all)
    with closing(sqlite3.connect(tmp_path / "generated")) as db:
        db.executescript(SQLITE_SQL.read_text())
    migrated, declared, generated = (
        in_sqlite(tmp_path / name, describe) for name in ("migrated", "declared", "generated")
    )

    assert declared == migrated
    assert declared == generated


def test_generated_sqlite_carries_the_head_revision(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "generated")) as db:
        db.executescript(SQLITE_SQL.read_text())

        assert [(history.HEAD,)] == db.execute("SELECT version_num FROM alembic_version").fetchall()


def test_sqlite_migrations_leave_nothing_undeclared(tmp_path: Path) -> None:
    in_sqlite(tmp_path / "migrated", migrate.upgrade)
    in_sqlite(tmp_path / "migrated", migrate.check)


def test_sqlite_migrations_go_down_and_up_again(tmp_path: Path) -> None:
    in_sqlite(tmp_path / "moved", up_down_up)
    in_sqlite(tmp_path / "migrated", migrate.upgrade)

    assert in_sqlite(tmp_path / "migrated", describe) == in_sqlite(tmp_path / "moved", describe)


@pytest.mark.services
async def test_postgres_is_the_same_by_migrations_and_by_tables(new_postgres: Any) -> None:
    migrated, declared = await new_postgres(), await new_postgres()
    await in_postgres(migrated, up_down_up)
    await in_postgres(declared, metadata.create_all)

    assert await in_postgres(declared, describe) == await in_postgres(migrated, describe)


@pytest.mark.services
async def test_postgres_migrations_leave_nothing_undeclared(migrated_postgres: str) -> None:
    await in_postgres(migrated_postgres, migrate.check)


COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), attnotnull, pg_get_expr(adbin, adrelid)
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped
"""
INDEXES = """
SELECT index.relname, indisunique, pg_get_indexdef(indexrelid)
FROM pg_index JOIN pg_class AS index ON index.oid = indexrelid WHERE indrelid = $1::text::regclass
"""
KEYS = """
SELECT conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE contype = 'f' AND conrelid = $1::text::regclass
"""
STATUSES = "SELECT enumlabel FROM pg_enum ORDER BY enumsortorder"


@pytest.fixture(params=DATA_MODEL)
def table(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.mark.services
async def test_postgres_columns_are_those_of_the_contract(postgres: Any, table: str) -> None:
    found = [tuple(row) for row in await postgres.fetch(COLUMNS, f'"{table}"')]
    ours = [column for column in found if is_ours(table, column[0])]

    assert sorted(columns_of(table)) == sorted(column for column in found if column not in ours)
    assert [] == [name for name, _, required, default in ours if required or default], (
        "servers that do not know a column leave it empty"
    )


@pytest.mark.services
async def test_postgres_indexes_are_those_of_the_contract(postgres: Any, table: str) -> None:
    found = {
        (name, unique, re.sub(r".* USING btree \((.*?)\)(?: WHERE .*)?$", r"\1", definition).replace('"', ""))
        for name, unique, definition in await postgres.fetch(INDEXES, f'"{table}"')
    }

    ours = {index for index in found if index[0].startswith("happy_")}

    assert indexes_of(table) == found - ours
    assert [] == [name for name, unique, _ in ours if unique], "other servers may store duplicates"


@pytest.mark.services
async def test_postgres_foreign_keys_are_those_of_the_contract(postgres: Any, table: str) -> None:
    form = re.compile(r"FOREIGN KEY \((.*)\) REFERENCES (.*) ON UPDATE CASCADE ON DELETE (.*)")
    found = {
        (name, form.sub(r"\1 -> \2 \3", definition).replace('"', ""))
        for name, definition in await postgres.fetch(KEYS, f'"{table}"')
    }

    assert keys_of(table) == found


@pytest.mark.services
async def test_postgres_has_the_tables_and_the_enum_of_the_contract(postgres: Any) -> None:
    found = {
        row[0] for row in await postgres.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    }
    statuses = [row[0] for row in await postgres.fetch(STATUSES)]

    assert {*DATA_MODEL, "alembic_version"} == {name for name in found if not name.startswith("happy_")}
    assert ["none", "requested", "pending", "friend", "rejected"] == statuses
