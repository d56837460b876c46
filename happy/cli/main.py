"""The command `happy-server`: its commands, and the exit code of each outcome.

0: done. 1: refused or failed, one line on stderr. 2: a usage error. 130: Ctrl-C before it was ready.
"""

import os
import sys
from collections.abc import Mapping, Sequence

import click

from happy import __version__
from happy.cli.accounts import accounts
from happy.cli.audit import audit
from happy.cli.backup import backup, restore, verify
from happy.cli.common import PROGRAM, InWrittenOrder, flavor_option
from happy.cli.invites import invites
from happy.cli.machines import machines
from happy.cli.master_secret import new_secret
from happy.cli.purge import purge
from happy.cli.registration import approve, pending, refuse
from happy.cli.schema import migrate, schema_check
from happy.cli.secret import secret
from happy.cli.serve import serve
from happy.cli.service import service
from happy.cli.sessions import sessions
from happy.cli.stats import stats
from happy.cli.tokens import tokens
from happy.cli.version import version

SETTINGS_HINT = (
    "Settings come from environment variables, for the light flavor also from .env: see docs/operating.md."
)


@click.group(
    cls=InWrittenOrder, context_settings={"help_option_names": ["-h", "--help"]}, epilog=SETTINGS_HINT
)
@flavor_option
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def commands(flavor: str | None) -> None:
    """The server that Happy clients sync, pair and call each other through."""


for command in (
    serve,
    migrate,
    backup,
    verify,
    restore,
    schema_check,
    new_secret,
    secret,
    accounts,
    tokens,
    sessions,
    machines,
    invites,
    purge,
    stats,
    audit,
    service,
    version,
):
    commands.add_command(command)
for command in (pending, approve, refuse):
    accounts.add_command(command)


def main() -> int:
    return run(sys.argv[1:], os.environ)


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command with these variables and return its exit code; nothing is raised to the caller."""
    try:
        code = commands.main(list(arguments), prog_name=PROGRAM, obj=environ, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    return code or 0
