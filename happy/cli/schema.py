"""The commands that migrate the schema of the database and check it, without importing the server."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from happy.cli.common import json_option, with_settings
from happy.cli.output import Output
from happy.cli.progress import ProgressBar
from happy.settings import Full, Light
from schema.revisions import HEAD, REVISIONS

DATABASE: Final = "The database"


class SchemaReport(Struct, frozen=True, rename="camel"):
    """`revision` is what the database has, `head` what this version makes and knows."""

    database: str
    revision: str
    head: str


class MigrationReport(SchemaReport, frozen=True, rename="camel"):
    """`before` is None for a database that was made, or taken over from another server of this protocol."""

    before: str | None
    copy: str | None
    """The copy from before, of a light database."""


@click.command("migrate")
@click.option("--plan", is_flag=True, help="Print what would be done, and change nothing.")
@json_option
@with_settings
def migrate(settings: Light | Full, *, plan: bool, as_json: bool) -> None:
    """Migrate the database to this version's schema, or create it."""
    if plan:
        from happy.cli.migration_plan import show

        show(settings, as_json=as_json)
        return
    began = time.monotonic()
    with ProgressBar() as progress:
        done = _migrate(settings, progress)
    if done.before != done.revision:
        _record(settings, done)
    output = Output(as_json=as_json)
    output.done(done, *_sentences(done, time.monotonic() - began))


def _migrate(settings: Light | Full, progress: ProgressBar) -> MigrationReport:
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        before, _ = asyncio.run(postgres.survey(settings.database_url, ()))
        revision = asyncio.run(postgres.prepare(settings.database_url, progress))
        return MigrationReport(DATABASE, revision, HEAD, before, None)
    from happy.adapters.light import migration, schema
    from happy.domain.values import Millis

    database, now = settings.database, Millis(time.time_ns() // 1_000_000)
    database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    before, _ = schema.survey(database, ())
    with _alone(database, before):
        revision = schema.prepare(database, now, progress)
    copy = None if before is None else migration.copy_of(database, before, now)
    kept = str(copy) if copy is not None and copy.exists() else None
    return MigrationReport(str(database), revision, HEAD, before, kept)


def _record(settings: Light | Full, done: MigrationReport) -> None:
    import asyncio

    from happy.cli.administration import record_done

    detail = f"before: {done.before or 'none'}"
    asyncio.run(record_done(settings, "database.migrate", f"schema {done.revision}", detail))


@contextmanager
def _alone(database: Path, before: str | None) -> Iterator[None]:
    """A database that is to be migrated must not be in use. Raises StartupError."""
    if before not in REVISIONS[:-1]:
        yield
        return
    from happy.adapters.light import exclusive_lock

    with exclusive_lock(database):
        yield


def _sentences(done: MigrationReport, seconds: float) -> list[str]:
    if done.before == done.revision:
        return [_state(done)]
    before = done.before or "none"
    lines = [f"{done.database} has schema {done.revision} now (it had {before}), after {seconds:.1f} s."]
    return lines if done.copy is None else [*lines, f"As it was before: {done.copy}"]


@click.command("schema-check")
@json_option
@with_settings
def schema_check(settings: Light | Full, *, as_json: bool) -> None:
    """Check that the database has that schema, and change nothing."""
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        found = SchemaReport(DATABASE, asyncio.run(postgres.verify(settings.database_url)), HEAD)
    else:
        from happy.adapters.light import schema

        found = SchemaReport(str(settings.database), schema.verify(settings.database), HEAD)
    output = Output(as_json=as_json)
    output.done(found, _state(found))


def _state(found: SchemaReport) -> str:
    if found.revision == HEAD:
        return f"{found.database} is up to date."
    return (
        f"{found.database} has schema {found.revision}, later than {HEAD} of this version, which may use it."
    )
