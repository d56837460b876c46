"""The commands that migrate the schema of the database and check it, without importing the server."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from happy.cli.common import with_settings
from happy.settings import Full, Light
from schema.revisions import HEAD


@click.command("migrate")
@click.option("--plan", is_flag=True, help="Print what would be done, and change nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print the plan as JSON.")
@with_settings
def migrate(settings: Light | Full, *, plan: bool, as_json: bool) -> None:
    """Migrate the database to this version's schema, or create it."""
    if plan or as_json:
        from happy.cli.migration_plan import show

        show(settings, as_json=as_json)
    else:
        _migrate(settings)


def _migrate(settings: Light | Full) -> None:
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        with _progress() as progress:
            revision = asyncio.run(postgres.prepare(settings.database_url, progress))
        _report("The database", revision)
        return
    from happy.adapters.light import schema
    from happy.domain.values import Millis

    settings.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _progress() as progress:
        revision = schema.prepare(settings.database, Millis(time.time_ns() // 1_000_000), progress)
    _report(str(settings.database), revision)


@click.command("schema-check")
@with_settings
def schema_check(settings: Light | Full) -> None:
    """Check that the database has that schema, and change nothing."""
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        _report("The database", asyncio.run(postgres.verify(settings.database_url)))
        return
    from happy.adapters.light import schema

    _report(str(settings.database), schema.verify(settings.database))


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """One line that changes on a terminal; lines, from time to time, where there is none."""
    from happy.adapters.progress import Lines
    from happy.cli.progress import Progress

    if not sys.stderr.isatty():
        yield Lines(lambda words: click.echo(words, err=True))
        return
    progress = Progress()
    try:
        yield progress
    finally:
        progress.end()


def _report(database: str, revision: str) -> None:
    if revision == HEAD:
        click.echo(f"{database} is up to date.")
    else:
        click.echo(f"{database} has schema {revision}, later than {HEAD} of this version, which may use it.")
