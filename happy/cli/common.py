"""What all commands share: the flavor, the settings, and one line for what keeps them from starting."""

import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, Final

import click

from happy.domain.errors import StartupError
from happy.settings import FLAVORS, Full, Light, SettingsError, load

PROGRAM: Final = "happy-server"
FAILED: Final = 1
INTERRUPTED: Final = 130

flavor_option = click.option(
    "--flavor",
    type=click.Choice(FLAVORS),
    help="light: one process, SQLite and local files (default). "
    "full: PostgreSQL, Redis and S3 (default when DATABASE_URL names PostgreSQL).",
)


json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print JSON on standard output; times are Unix milliseconds."
)


class StartFailure(click.ClickException):
    """A failure to start: one line on stderr and exit code 1."""

    def format_message(self) -> str:
        return f"{PROGRAM}: {' '.join(self.message.split())}"

    def show(self, file: Any = None) -> None:
        click.echo(self.format_message(), file=file, err=True)


class CommandFailed(StartFailure):
    """A command was refused or failed: one line on stderr and exit code 1."""


class InWrittenOrder(click.Group):
    """Lists commands as they were added, not by the alphabet: the one that people look for is first."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(self.commands)


@contextmanager
def start_failures() -> Iterator[None]:
    """Turn what keeps a command from starting into StartFailure, Ctrl-C into exit code 130."""
    try:
        yield
    except BrokenPipeError:  # whoever read the output has enough of it
        raise
    except (SettingsError, StartupError, OSError) as error:
        raise StartFailure(_reason(error)) from error
    except (
        KeyboardInterrupt,
        click.Abort,
    ):  # before it was ready; once it serves, Ctrl-C is an orderly end
        raise click.exceptions.Exit(INTERRUPTED) from None


@contextmanager
def interruptible() -> Iterator[None]:
    """Have Ctrl-C end what waits for a person: asyncio would wait for the answer first."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _reason(error: Exception) -> str:
    """In one line; of the operating system's errors without their number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"cannot use {error.filename}: {error.strerror}"
    return str(error)


def read_settings(context: click.Context) -> Light | Full:
    """Settings from the variables and .env. `--flavor` may stand before the command or behind it.

    Raises SettingsError.
    """
    environ: Mapping[str, str] = context.obj
    flavor = context.params["flavor"] or context.find_root().params["flavor"]
    return load(environ, flavor=flavor, dotenv=Path(".env"))


def with_settings(command: Callable[..., None]) -> Callable[..., None]:
    """Call the command with its settings, after printing their warnings, and report its failures to start."""

    @click.pass_context
    @wraps(command)
    def call(context: click.Context, /, flavor: str | None, **options: Any) -> None:  # noqa: ARG001
        with start_failures():
            settings = read_settings(context)
            for line in settings.warnings:
                click.echo(f"{PROGRAM}: warning: {line}", err=True)
            command(settings, **options)

    return flavor_option(call)
