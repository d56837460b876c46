"""The commands that migrate the schema of the database and check it, without importing the server."""

import time

import click

from happy.cli.common import with_settings
from happy.settings import Full, Light
from schema.revisions import HEAD


@click.command("migrate")
@with_settings
def migrate(settings: Light | Full) -> None:
    """Migrate the database to this version's schema, or create it."""
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        revision = asyncio.run(postgres.prepare(settings.database_url))
        _report("The database", revision)
        return
    from happy.adapters.light import schema
    from happy.domain.values import Millis

    settings.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    revision = schema.prepare(settings.database, Millis(time.time_ns() // 1_000_000))
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


def _report(database: str, revision: str) -> None:
    if revision == HEAD:
        click.echo(f"{database} is up to date.")
    else:
        click.echo(f"{database} has schema {revision}, later than {HEAD} of this version, which may use it.")
