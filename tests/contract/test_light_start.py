"""What the light server does with its database file before it opens it."""

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from happy.adapters.light.schema import Corrupt, SchemaTooNew, prepare
from happy.domain.errors import StartupError
from happy.domain.values import Millis
from schema import migrate
from schema.revisions import HEAD, REVISIONS
from tests.contract import existing_light
from tests.contract.existing_light import rows, statements

NOW = Millis(1_732_286_231_123)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "happy-server-light.sqlite"


@pytest.fixture
def old(path: Path) -> Path:
    """A database at the first revision, with one account."""
    with migrate.sqlite_connection(path) as connection:
        migrate.upgrade(connection, REVISIONS[0])
        connection.exec_driver_sql(
            """INSERT INTO "Account" (id, "publicKey", "createdAt", "updatedAt") VALUES ('a', 'KEY', 1, 2)"""
        )
    return path


def backups(path: Path) -> list[Path]:
    return sorted(file for file in path.parent.iterdir() if file != path)


def execute(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute(sql)
        db.commit()


def test_a_missing_database_is_made_for_its_owner_only(path: Path) -> None:
    prepare(path, NOW)

    assert [(HEAD,)] == rows(path)["alembic_version"]
    assert 0o600 == path.stat().st_mode & 0o777
    assert [] == backups(path)


def test_an_empty_file_is_filled(path: Path) -> None:
    path.touch()
    prepare(path, NOW)

    assert [(HEAD,)] == rows(path)["alembic_version"]


def test_a_database_without_tables_is_filled(path: Path) -> None:
    execute(path, "PRAGMA user_version = 1")
    prepare(path, NOW)

    assert [(HEAD,)] == rows(path)["alembic_version"]


@pytest.mark.parametrize("suffix", ["-wal", "-journal"])
def test_a_lost_database_is_not_replaced_while_its_log_is_there(path: Path, suffix: str) -> None:
    log = path.with_name(path.name + suffix)
    log.write_bytes(b"changes")
    with pytest.raises(StartupError, match="is missing but"):
        prepare(path, NOW)

    assert [log] == backups(path)
    assert not path.exists()


def test_an_up_to_date_database_costs_one_small_read(path: Path) -> None:
    prepare(path, NOW)
    before = path.read_bytes()
    times = []
    for _ in range(20):
        started = time.perf_counter()
        prepare(path, NOW)
        times.append(time.perf_counter() - started)

    assert before == path.read_bytes()
    assert min(times) < 0.005


def test_no_start_without_a_migration_imports_sqlalchemy(path: Path) -> None:
    script = "import sys; from pathlib import Path; from happy.adapters.light.schema import prepare\n"
    script += "for _ in range(2): prepare(Path(sys.argv[1]), 1)\n"
    script += "assert not {'sqlalchemy', 'alembic'} & sys.modules.keys()"

    subprocess.run([sys.executable, "-c", script, path], check=True)


def test_the_copies_from_before_the_last_three_migrations_are_kept(old: Path) -> None:
    copies = [old.with_name(f"{old.name}.backup-0001-{time}") for time in (9, 10, 800)]
    mine = old.with_name(f"{old.name}.backup-of-mine")
    for copy in [*copies, mine]:
        copy.write_text("a copy")

    prepare(old, NOW)

    kept = sorted(path.name for path in old.parent.glob(f"{old.name}.backup-*"))
    assert [copies[1].name, copies[2].name, mine.name] == [name for name in kept if f"-{NOW}" not in name]
    assert 4 == len(kept)


def test_an_older_database_is_migrated_after_a_private_backup(old: Path) -> None:
    before = rows(old)
    prepare(old, NOW)

    assert [(HEAD,)] == rows(old)["alembic_version"]
    assert before["Account"] == rows(old)["Account"]
    (backup,) = backups(old)
    assert before == rows(backup)
    assert 0o600 == backup.stat().st_mode & 0o777


def test_a_migration_that_fails_changes_nothing(old: Path) -> None:
    execute(old, 'CREATE INDEX "happy_Machine_active_lastActiveAt_idx" ON "Machine" (seq)')
    before = old.read_bytes()
    with pytest.raises(StartupError, match="already exists"):
        prepare(old, NOW)

    assert before == old.read_bytes()
    assert [] == backups(old)


def test_a_newer_database_is_refused_with_what_to_do(path: Path) -> None:
    prepare(path, NOW)
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    execute(path, "UPDATE \"happy_SchemaCompatibility\" SET oldest = '9999'")
    before = path.read_bytes()
    with pytest.raises(SchemaTooNew) as caught:
        prepare(path, NOW)

    assert "start the newer happy-server that wrote it" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert before == path.read_bytes()


def test_a_newer_database_that_says_nothing_of_older_releases_is_refused(path: Path) -> None:
    prepare(path, NOW)
    execute(path, "UPDATE alembic_version SET version_num = '9999'")
    execute(path, 'DROP TABLE "happy_SchemaCompatibility"')

    with pytest.raises(SchemaTooNew):
        prepare(path, NOW)


def damaged(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_text("something that somebody put here\n" * 200)
    before = path.read_bytes()
    with pytest.raises(Corrupt, match="move it away") as caught:
        prepare(path, NOW)

    assert "\n" not in str(caught.value)
    assert before == path.read_bytes()


def test_a_truncated_database_is_refused(path: Path) -> None:
    prepare(path, NOW)
    path.write_bytes(path.read_bytes()[:10_000])
    with pytest.raises(Corrupt):
        prepare(path, NOW)

    assert 10_000 == path.stat().st_size


def test_a_database_with_a_damaged_first_page_is_refused(path: Path) -> None:
    prepare(path, NOW)
    damaged(path, 100, b"\xff" * 3996)
    with pytest.raises(Corrupt):
        prepare(path, NOW)


def test_a_damaged_page_is_found_before_a_database_is_taken_over(path: Path) -> None:
    existing_light.build(path)
    damaged(path, 4096 * 8, b"\xff" * 4096)
    before = path.read_bytes()
    with pytest.raises(Corrupt):
        prepare(path, NOW)

    assert before == path.read_bytes()


def test_a_folder_that_is_not_there_is_named(path: Path) -> None:
    with pytest.raises(StartupError, match="No such file or directory"):
        prepare(path / "deeper", NOW)


def start_together(path: Path, count: int) -> list[int]:
    """Exit codes of `count` processes that prepare the file at the same moment."""
    script = "import sys; from pathlib import Path; from happy.adapters.light.schema import prepare\n"
    script += "sys.stdin.read(); prepare(Path(sys.argv[1]), 1)"
    processes = [
        subprocess.Popen([sys.executable, "-c", script, path], stdin=subprocess.PIPE) for _ in range(count)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
    return [process.wait() for process in processes]


@pytest.mark.slow
@pytest.mark.parametrize("state", ["missing", "old", "existing"])
def test_processes_that_start_together_all_succeed(
    path: Path, state: str, request: pytest.FixtureRequest
) -> None:
    if state == "existing":
        existing_light.build(path)
    elif state == "old":
        request.getfixturevalue("old")

    assert [0, 0, 0] == start_together(path, 3)
    assert [(HEAD,)] == rows(path)["alembic_version"]
    assert "happy_Session_active_lastActiveAt_idx" in statements(path)
    assert (1 if state == "old" else 0) == len(backups(path))
