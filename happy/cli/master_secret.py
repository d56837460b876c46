"""The command that replaces a lost master secret."""

from typing import Final

import click

from happy.cli.common import with_settings
from happy.settings import Full, Light, SettingsError

CONSENT: Final = "--sign-everybody-out"


@click.command("new-secret")
@click.option(CONSENT, "consent", is_flag=True, help="Required: every device has to sign in again.")
@with_settings
def new_secret(settings: Light | Full, *, consent: bool) -> None:
    """Go on with another master secret when the old one is lost."""
    if not consent:
        raise SettingsError(f"new-secret: add {CONSENT} if every device is to sign in again")
    import asyncio

    from happy.adapters.clocks import system_clock
    from happy.adapters.keys import replace_secret

    click.echo(asyncio.run(replace_secret(settings, system_clock)))
