"""The commands that migrate the schema of the database and check it, without importing the server."""

import time

import click

from happy.cli.common import with_settings
from happy.settings import Full, Light


@click.command("migrate")
@with_settings
def migrate(settings: Light | Full) -> None:
    """Migrate the database to this version's schema, or create it."""
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        asyncio.run(postgres.prepare(settings.database_url))
        click.echo("The database is up to date.")
        return
    from happy.adapters.light import schema
    from happy.domain.values import Millis

    settings.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    schema.prepare(settings.database, Millis(time.time_ns() // 1_000_000))
    click.echo(f"{settings.database} is up to date.")


@click.command("schema-check")
@with_settings
def schema_check(settings: Light | Full) -> None:
    """Check that the database has that schema, and change nothing."""
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        asyncio.run(postgres.verify(settings.database_url))
        click.echo("The database is up to date.")
        return
    from happy.adapters.light import schema

    schema.verify(settings.database)
    click.echo(f"{settings.database} is up to date.")
