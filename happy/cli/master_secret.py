"""The command that replaces a lost master secret."""

import click

from happy.cli.administration import yes_option
from happy.cli.common import json_option, with_settings
from happy.cli.output import Output
from happy.settings import Full, Light

EFFECTS = (
    "Every device has to sign in again.",
    "What is stored sealed, tokens of other services and of GitHub, cannot be read any more.",
    "If the secret before can be found: put it back instead, and nothing is lost.",
)


@click.command("new-secret")
@click.option("--sign-everybody-out", "consent", is_flag=True, help="The same as --yes, and says why.")
@yes_option
@json_option
@with_settings
def new_secret(settings: Light | Full, *, consent: bool, yes: bool, as_json: bool) -> None:
    """Go on with another master secret when the old one is lost.

    No server may run meanwhile.
    """
    import asyncio

    from happy.adapters.clocks import system_clock
    from happy.adapters.keys import replace_secret

    output = Output(as_json=as_json)
    output.confirm(EFFECTS, yes=yes or consent)
    made = asyncio.run(replace_secret(settings, system_clock))
    kept = "" if made.kept is None else f" The one before is kept in {made.kept}."
    output.done(made, f"The master secret is the one in {made.source} from now on.{kept}")
