"""`happy-server migrate --plan`, and what every migration says of itself for it."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from happy.adapters.free_space import RESERVE_BYTES
from happy.adapters.light import exclusive_lock, migration
from happy.adapters.light.migration import copy_bytes
from happy.adapters.light.schema import prepare
from happy.cli.main import run
from happy.domain.errors import StartupError
from happy.domain.progress import Step
from happy.domain.values import Millis
from schema import effects, migrate
from schema.revisions import HEAD, REVISIONS
from tests.contract.existing_light import rows
from tests.contract.test_schema import in_postgres
from tests.support.commands import command
from tests.support.environments import Environment, light_environment
from tests.support.small_disk import small_disk

NewDatabase = Callable[[], Awaitable[str]]
NOW = Millis(1_732_286_231_123)
EFFECTS = effects.known(migrate.scripts())
ACCOUNT = """INSERT INTO "Account" (id, "publicKey", "updatedAt") VALUES ('a', 'KEY', {})"""
SESSION = (
    """INSERT INTO "Session" (id, tag, "accountId", metadata, "updatedAt") VALUES ('s', 't', 'a', 'm', {})"""
)
AUDIT = 'SELECT actor, action, subject, detail FROM "happy_AuditEntry"'


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A light database at the first revision, with a session."""
    path = tmp_path / "happy-server-light.sqlite"
    with migrate.sqlite_connection(path) as connection:
        migrate.upgrade(connection, REVISIONS[0])
        for insert in (ACCOUNT, SESSION):
            connection.exec_driver_sql(insert.format(1))
    return path


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_migration_says_what_it_does_to_a_database_in_use(revision: str) -> None:
    effect, source = EFFECTS[revision], inspect.getsource(migrate.scripts().get_revision(revision).module)
    before = migrate.columns_at(REVISIONS[REVISIONS.index(revision) - 1]) if revision != REVISIONS[0] else {}

    assert effect.does
    assert REVISIONS[0] <= effect.oldest <= revision
    assert set(effect.tables) <= before.keys(), "only tables that exist already concern anybody"
    assert ("online." in source) == bool(effect.tables)
    assert ("online.add_column" in source) == (effect.waits == "a moment")
    if "online.create_index" in source:
        assert min(effect.seconds) > 0, "measure it: python -m tests.support.migration_times"


@pytest.mark.slow
def test_the_plan_of_a_light_database_lists_what_would_run_and_changes_nothing(old: Path) -> None:
    before = old.read_bytes()
    environment = light_environment(old.parent)
    listed = asyncio.run(command(environment, "migrate", "--plan"))
    found = asyncio.run(command(environment, "migrate", "--plan", "--json")).json

    assert before == old.read_bytes()
    assert [old.name] == [path.name for path in old.parent.iterdir()]
    assert list(REVISIONS[1:]) == [step["revision"] for step in found["steps"]]
    assert {"Session": 1} == found["steps"][2]["rows"]
    assert (REVISIONS[0], HEAD, len(before)) == (found["revision"], found["head"], found["copyBytes"])
    assert f"{len(before):,} bytes" in listed.out


@pytest.mark.slow
@pytest.mark.services
async def test_the_plan_of_a_postgresql_database_lists_what_would_run_and_changes_nothing(
    new_postgres: NewDatabase,
) -> None:
    url = await new_postgres()

    def fill(connection: object) -> None:
        migrate.upgrade(connection, REVISIONS[0])  # type: ignore[arg-type]
        for statement in (ACCOUNT.format("now()"), SESSION.format("now()"), "ANALYZE"):
            connection.exec_driver_sql(statement)  # type: ignore[attr-defined]

    await in_postgres(url, fill)
    environment = Environment("full", {"DATABASE_URL": url, "HANDY_MASTER_SECRET": "a secret for tests"})
    found = (await command(environment, "migrate", "--plan", "--json")).json
    again = (await command(environment, "migrate", "--plan", "--json")).json

    assert found == again
    assert list(REVISIONS[1:]) == [step["revision"] for step in found["steps"]]
    assert ({"Session": 1}, "a moment") == (found["steps"][2]["rows"], found["steps"][2]["waits"])
    assert "0 bytes" not in (await command(environment, "migrate", "--plan")).out


async def test_the_plan_of_an_up_to_date_database_is_empty(environment: Environment) -> None:
    await command(environment, "migrate")
    ended = await command(environment, "migrate", "--plan")

    assert (0, f"Nothing would be done: the schema is {HEAD}.\n") == (ended.code, ended.out)


def test_a_migration_says_how_far_it_is(old: Path) -> None:
    steps = list[Step]()
    prepare(old, NOW, steps.append)

    size = copy_bytes(old)
    copying, migrating = steps[0], steps[1:]
    assert "copying the database" == copying.doing
    assert 0 < copying.done <= (copying.total or 0) < 2 * size
    count = len(REVISIONS) - 1
    assert [(f"schema {revision} of {HEAD}", count) for revision in REVISIONS[1:]] == [
        (step.doing, step.total) for step in migrating
    ]
    assert list(range(count)) == [step.done for step in migrating]


def test_a_migration_without_room_for_the_copy_is_refused_before_anything_is_written(old: Path) -> None:
    with small_disk(old.parent / "disk", RESERVE_BYTES // 2) as disk:
        path = disk / old.name
        path.write_bytes(old.read_bytes())
        before = path.read_bytes()
        with pytest.raises(
            StartupError, match=r"is copied before it is migrated, which takes \d+ MB"
        ) as caught:
            prepare(path, NOW)

        assert "\n" not in str(caught.value)
        assert before == path.read_bytes()
        assert {path.name, f".{path.name}.migrating"} >= {found.name for found in disk.iterdir()}


def test_a_light_database_was_migrated_below_a_running_server(
    old: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with exclusive_lock(old):
        before = old.read_bytes()
        assert 1 == run(["migrate"], {"HAPPY_SERVER_LIGHT_DATA_DIR": str(old.parent)})
        assert before == old.read_bytes()

    assert "is in use by another happy-server" in capsys.readouterr().err
    assert 0 == run(["migrate"], {"HAPPY_SERVER_LIGHT_DATA_DIR": str(old.parent)})
    said = capsys.readouterr().out
    (copy,) = old.parent.glob(f"{old.name}.backup-*")
    assert f"{old} has schema {HEAD} now (it had {REVISIONS[0]}), after " in said
    assert f"As it was before: {copy}\n" in said
    with migrate.sqlite_connection(old) as connection:
        recorded = connection.exec_driver_sql(AUDIT)
        assert [("command line", "database.migrate", f"schema {HEAD}", f"before: {REVISIONS[0]}")] == [
            tuple(row) for row in recorded
        ]


def test_the_copy_has_what_was_committed_and_is_not_yet_in_the_file(old: Path) -> None:
    with migrate.sqlite_connection(old) as connection:
        connection.exec_driver_sql('UPDATE "Account" SET "publicKey" = \'NEW\'')
    before = rows(old)
    prepare(old, NOW)
    (copy,) = old.parent.glob(f"{old.name}.backup-*")

    assert before == rows(copy)
    assert migration.copy_bytes(copy) == copy.stat().st_size
