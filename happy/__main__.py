"""The command `happy-server`. Every failure to start is one line on stderr and exit code 1."""

import gc
import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from happy import __version__
from happy.domain.errors import StartupError
from happy.settings import Full, Light, SettingsError, load

USAGE: Final = """\
usage: happy-server <command> [--flavor light|full]

  serve           answer clients until SIGINT or SIGTERM
  migrate         bring the database to the schema of this version, creating it if need be
  schema-check    say whether it has that schema, and change nothing
  new-secret      with --sign-everybody-out: go on with another master secret when the old one is lost

  --flavor light  one process, SQLite and local files (default)
  --flavor full   PostgreSQL, Redis and S3 (default when DATABASE_URL names PostgreSQL)
  --version       print the version
  --help          print this text

Settings come from environment variables, for the light flavor also from .env: see docs/operating.md.
"""


class UsageError(Exception):
    """The command line makes no sense."""


def main() -> int:
    return run(sys.argv[1:], os.environ)


def run(arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    try:
        if {"--help", "-h"} & set(arguments):
            sys.stdout.write(USAGE)
        elif list(arguments) == ["--version"]:
            sys.stdout.write(f"happy-server {__version__}\n")
        else:
            command, flavor = _parse(arguments)
            settings = load(environ, flavor=flavor, dotenv=Path(".env"))
            if command != "serve":  # which has a log
                sys.stderr.writelines(f"happy-server: warning: {line}\n" for line in settings.warnings)
            COMMANDS[command](settings)
    except UsageError:
        sys.stderr.write(USAGE)
        return 1
    except (SettingsError, StartupError, OSError) as error:
        sys.stderr.write(f"happy-server: {' '.join(str(error).split())}\n")
        return 1
    except KeyboardInterrupt:
        return 130  # stopped before it was ready; once it serves, an interrupt is an orderly end
    return 0


def serve(settings: Light | Full) -> None:
    gc.disable()  # what a start makes is there to stay; looking for garbage in it took 0.1 s
    import asyncio
    import logging

    import uvloop

    from happy import telemetry
    from happy.serving import serve as serve_until_stopped

    copy_to = telemetry.debug_log_file(time.time()) if settings.remote_debug_log else None
    telemetry.configure(settings.log_level, copy_to=copy_to)
    for line in settings.warnings:
        logging.getLogger("happy.settings").warning(line)

    def on_ready() -> None:
        gc.freeze()  # and it is never searched while serving either
        gc.enable()
        if isinstance(settings, Light):
            _announce(settings)
        flavor = type(settings).__name__.lower()
        logging.getLogger("happy").info(
            "ready", extra={"version": __version__, "flavor": flavor, "port": settings.port}
        )

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve_until_stopped(settings, on_ready))


def migrate(settings: Light | Full) -> None:
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        asyncio.run(postgres.prepare(settings.database_url))
        sys.stdout.write("The database is up to date.\n")
        return
    from happy.adapters.light import schema
    from happy.domain.values import Millis

    settings.database.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    schema.prepare(settings.database, Millis(time.time_ns() // 1_000_000))
    sys.stdout.write(f"{settings.database} is up to date.\n")


def schema_check(settings: Light | Full) -> None:
    if isinstance(settings, Full):
        import asyncio

        from happy.adapters.full.postgres import schema as postgres

        asyncio.run(postgres.verify(settings.database_url))
        sys.stdout.write("The database is up to date.\n")
        return
    from happy.adapters.light import schema

    schema.verify(settings.database)
    sys.stdout.write(f"{settings.database} is up to date.\n")


def new_secret(settings: Light | Full) -> None:
    import asyncio

    from happy.adapters.keys import begin_anew
    from happy.bootstrap import system_clock

    sys.stdout.write(f"{asyncio.run(begin_anew(settings, system_clock))}\n")


COMMANDS: Final = {
    "serve": serve,
    "migrate": migrate,
    "schema-check": schema_check,
    "new-secret": new_secret,
}
CONSENT: Final = "--sign-everybody-out"


def _parse(arguments: Sequence[str]) -> tuple[str, str | None]:
    if "new-secret" in arguments:
        if CONSENT not in arguments:
            raise SettingsError(f"new-secret: add {CONSENT} if every device is to sign in again")
        arguments = [argument for argument in arguments if argument != CONSENT]
    match list(arguments):
        case [command] if command in COMMANDS:
            return command, None
        case [command, "--flavor", flavor] | ["--flavor", flavor, command] if command in COMMANDS:
            return command, flavor
        case [command, option] if command in COMMANDS and option.startswith("--flavor="):
            return command, option.removeprefix("--flavor=")
        case _:
            raise UsageError


def _announce(settings: Light) -> None:
    from happy.cli.startup_banner import lan_addresses, startup_banner

    sys.stdout.write(startup_banner(settings, lan_addresses()))
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
