"""A light database of another server of this protocol is opened as it is, or named and not touched."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from happy.adapters.light.adoption import SchemaMismatch, tables
from happy.adapters.light.schema import prepare
from happy.domain.values import Millis
from schema.revisions import HEAD
from tests.contract.existing_light import MOMENT, build, is_ours, rows, statements

NOW = Millis(MOMENT + 1)


def is_own_table(name: str) -> bool:
    """Whether no other server's light database has it."""
    return name in ("VoiceConversation", "alembic_version") or name.startswith("happy_")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "happy-server-light.sqlite"


def query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def test_every_row_and_every_table_is_unchanged(path: Path) -> None:
    build(path)
    rows_before, statements_before = rows(path), statements(path)
    prepare(path, NOW)

    assert rows_before == {name: found for name, found in rows(path).items() if not is_own_table(name)}
    assert statements_before.items() <= statements(path).items()


def test_the_database_then_has_the_schema_of_a_new_one(path: Path, tmp_path: Path) -> None:
    build(path)
    prepare(path, NOW)
    prepare(tmp_path / "new.sqlite", NOW)
    with closing(sqlite3.connect(path)) as adopted, closing(sqlite3.connect(tmp_path / "new.sqlite")) as new:
        assert tables(new) == tables(adopted)
    assert statements(tmp_path / "new.sqlite").keys() == statements(path).keys() - {"_migrations"}
    assert [(HEAD,)] == rows(path)["alembic_version"]


def test_a_second_start_finds_nothing_to_do(path: Path) -> None:
    build(path)
    prepare(path, NOW)
    before = path.read_bytes()
    prepare(path, NOW)

    assert before == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-11-22 14:37:11", 1_732_286_231_000),
        ("2024-11-22T14:37:11.123Z", 1_732_286_231_123),
        ("2024-11-22T14:37:11.009+00:00", 1_732_286_231_009),
        ("2024-11-22 16:37:11.999 +02:00", 1_732_286_231_999),
        ("1969-12-31 23:59:59.999", -1),
    ],
)
def test_moments_written_as_text_become_milliseconds(path: Path, text: str, moment: int) -> None:
    build(path, f"""UPDATE "Session" SET "createdAt" = '{text}'""")
    prepare(path, NOW)

    assert [(moment, MOMENT)] == query(path, 'SELECT "createdAt", "updatedAt" FROM "Session"')


def test_moments_by_the_declared_default_become_milliseconds_in_every_table(path: Path) -> None:
    defaults = [
        f'UPDATE "{name}" SET "createdAt" = CURRENT_TIMESTAMP'
        for name in ("Account", "Session", "SessionMessage", "Machine", "UserKVStore", "RepeatKey")
    ]
    build(path, *defaults)
    prepare(path, NOW)
    with closing(sqlite3.connect(path)) as db:
        kinds = {
            db.execute(f'SELECT typeof("{column}") FROM "{name}"').fetchone()[0]
            for name, table in tables(db).items()
            for column, facts in table.columns.items()
            if facts.declared == "DATETIME" and not is_own_table(name) and not is_ours(name, column)
        }

    assert {"integer"} == kinds


def test_json_stored_as_bytes_becomes_text(path: Path) -> None:
    build(path, """UPDATE "SessionMessage" SET content = CAST(content AS BLOB)""")
    prepare(path, NOW)

    assert [("text", '{"t":"SessionMessage content"}')] == query(
        path, 'SELECT typeof(content), content FROM "SessionMessage"'
    )


def test_missing_plain_indexes_are_made(path: Path) -> None:
    build(path, 'DROP INDEX "Session_accountId_updatedAt_idx"')
    prepare(path, NOW)

    assert "Session_accountId_updatedAt_idx" in statements(path)


def test_columns_and_tables_that_are_not_ours_are_tolerated(path: Path) -> None:
    extras = ['ALTER TABLE "Session" ADD COLUMN later TEXT', "CREATE TABLE later (id TEXT)"]
    extras.append('ALTER TABLE "Account" ADD COLUMN flag BOOLEAN NOT NULL DEFAULT false')
    build(path, *extras)
    prepare(path, NOW)

    assert {"later"} <= rows(path).keys()


MISMATCHES = {
    'there is no table "Artifact"': ['DROP TABLE "Artifact"'],
    'table "Session": there is no column "metadataVersion"': [
        'ALTER TABLE "Session" DROP COLUMN "metadataVersion"'
    ],
    'table "Account": there is no column "feedSeq"': ['ALTER TABLE "Account" RENAME "feedSeq" TO "feed"'],
    'table "Session": (accountId, tag) is not unique': ['DROP INDEX "Session_accountId_tag_key"'],
    'table "Session": column "createdAt" has a value that cannot be converted': [
        """UPDATE "Session" SET "createdAt" = 'yesterday'"""
    ],
    'table "SessionMessage": column "content" has a value that cannot be converted': [
        """UPDATE "SessionMessage" SET content = x'ff'"""
    ],
}


@pytest.mark.parametrize("problem", MISMATCHES)
def test_what_does_not_fit_is_named_and_left_alone(path: Path, problem: str) -> None:
    build(path, *MISMATCHES[problem])
    before = path.read_bytes()
    with pytest.raises(SchemaMismatch) as caught:
        prepare(path, NOW)

    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before == path.read_bytes()
    assert [path] == list(path.parent.iterdir())


KV = {
    "id": '"id" TEXT NOT NULL PRIMARY KEY',
    "account": '"accountId" TEXT NOT NULL',
    "key": '"key" TEXT NOT NULL',
    "value": '"value" BLOB',
    "version": '"version" INTEGER NOT NULL DEFAULT 0',
    "moments": '"createdAt" DATETIME NOT NULL, "updatedAt" DATETIME NOT NULL',
    "unique": 'UNIQUE ("accountId", "key")',
}


@pytest.mark.parametrize(
    ("part", "column", "problem"),
    [
        ("version", '"version" TEXT NOT NULL', 'column "version" is TEXT, not INTEGER'),
        ("key", '"key" TEXT', 'column "key" must be NOT NULL'),
        ("value", '"value" BLOB NOT NULL', 'column "value" must not be NOT NULL'),
        ("id", '"id" TEXT NOT NULL', "the primary key is (), not (id)"),
        (
            "moments",
            KV["moments"] + ", must TEXT NOT NULL",
            'the unknown column "must" is NOT NULL without a default',
        ),
        ("unique", 'UNIQUE ("accountId", "key", "value")', "(accountId, key) is not unique"),
    ],
)
def test_a_table_of_another_shape_is_named(path: Path, part: str, column: str, problem: str) -> None:
    table = f'CREATE TABLE "UserKVStore" ({", ".join((KV | {part: column}).values())})'
    build(path, 'DROP TABLE "UserKVStore"', table)

    with pytest.raises(SchemaMismatch, match='table "UserKVStore"') as caught:
        prepare(path, NOW)
    assert problem in str(caught.value)


def test_a_unique_constraint_serves_as_well_as_a_unique_index(path: Path) -> None:
    build(path, 'DROP TABLE "UserKVStore"', f'CREATE TABLE "UserKVStore" ({", ".join(KV.values())})')
    prepare(path, NOW)

    assert [(HEAD,)] == rows(path)["alembic_version"]


def test_the_database_of_another_application_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.executescript("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
    before = path.read_bytes()
    with pytest.raises(SchemaMismatch, match="it has none of the tables"):
        prepare(path, NOW)

    assert before == path.read_bytes()


def test_what_a_killed_server_left_in_its_write_ahead_log_is_kept(path: Path, tmp_path: Path) -> None:
    build(tmp_path / "running.sqlite")
    with closing(sqlite3.connect(tmp_path / "running.sqlite")) as running:
        running.execute("PRAGMA journal_mode = WAL")
        running.execute('UPDATE "Session" SET seq = 4711')
        running.commit()
        for suffix in ("", "-wal"):
            shutil.copy(tmp_path / f"running.sqlite{suffix}", f"{path}{suffix}")
    prepare(path, NOW)

    assert [(4711,)] == query(path, 'SELECT seq FROM "Session"')
