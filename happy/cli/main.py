"""The command `happy-server`: its commands, and the exit code of each outcome.

0: done. 1: refused or failed, one line on stderr. 2: a usage error. 130: Ctrl-C before it was ready.
"""

import os
import sys
from collections.abc import Mapping, Sequence

import click

from happy import __version__
from happy.cli.common import FAILED, INTERRUPTED, PROGRAM, InWrittenOrder, StartFailure, flavor_option
from happy.cli.lazy import LazyCommands

SETTINGS_HINT = (
    "Settings come from environment variables, for the light flavor also from .env: see docs/operating.md."
)


COMMANDS = {
    "serve": "happy.cli.serve:serve",
    "migrate": "happy.cli.schema:migrate",
    "backup": "happy.cli.backup:backup",
    "verify": "happy.cli.backup:verify",
    "restore": "happy.cli.backup:restore",
    "import": "happy.cli.imports:import_",
    "export": "happy.cli.exports:export",
    "schema-check": "happy.cli.schema:schema_check",
    "new-secret": "happy.cli.master_secret:new_secret",
    "secret": "happy.cli.secret:secret",
    "accounts": "happy.cli.accounts:accounts",
    "tokens": "happy.cli.tokens:tokens",
    "sessions": "happy.cli.sessions:sessions",
    "machines": "happy.cli.machines:machines",
    "invites": "happy.cli.invites:invites",
    "purge": "happy.cli.purge:purge",
    "stats": "happy.cli.stats:stats",
    "audit": "happy.cli.audit:audit",
    "service": "happy.cli.service:service",
    "version": "happy.cli.version:version",
}
"""Where each command is, in the order in which they are listed; a group has its commands itself."""


@click.group(
    cls=InWrittenOrder, context_settings={"help_option_names": ["-h", "--help"]}, epilog=SETTINGS_HINT
)
@flavor_option
@click.version_option(__version__, prog_name=PROGRAM, message="%(prog)s %(version)s")
def commands(flavor: str | None) -> None:
    """The server that Happy clients sync, pair and call each other through."""


commands.commands = LazyCommands(COMMANDS)


def main() -> int:
    code = run(sys.argv[1:], os.environ)
    try:
        if sys.stdout is not None:  # it is None where the shell closed it
            sys.stdout.flush()
    except OSError:  # said already: what is left of the output is not tried again at the exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return code or FAILED
    return code


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run one command with these variables and return its exit code; nothing is raised to the caller."""
    try:
        code = commands.main(list(arguments), prog_name=PROGRAM, obj=environ, standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except SystemExit as end:  # completion is done, or nobody reads the output any more, such as `| head`
        return end.code if isinstance(end.code, int) else FAILED
    except OSError as error:
        StartFailure(f"cannot write the output: {error.strerror}").show()
        return FAILED
    return code or 0
