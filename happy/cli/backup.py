"""The commands that make, check and restore backups."""

import os
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from happy.cli.common import CommandFailed, with_settings
from happy.cli.output import Output, moment, printable
from happy.domain.errors import HappyError
from happy.domain.values import Millis
from happy.settings import Full, Light, SettingsError

STANDARD_OUTPUT: Final = "-"
PASSPHRASE: Final = "HAPPY_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable
PROGRESS_SECONDS: Final = 0.2

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; times are Unix milliseconds.")
existing_archive = click.argument("archive", type=click.Path(exists=True, dir_okay=False, path_type=Path))


@click.command("backup")
@click.argument("target", default=".")
@click.option("--with-files", is_flag=True, help="Copy the files of an object store, too.")
@click.option(
    "--with-secret", is_flag=True, help=f"Put the master secret in, sealed ({PASSPHRASE} or a prompt)."
)
@json_option
@with_settings
def backup(
    settings: Light | Full, *, target: str, with_files: bool, with_secret: bool, as_json: bool
) -> None:
    """Back up everything while the server runs.

    TARGET is a file, a folder (the working directory unless it is given), or - for standard output.
    """
    from happy.adapters import backups

    now = Millis(time.time_ns() // 1_000_000)
    passphrase = _new_passphrase() if with_secret else None
    progress = Progress()

    def write(file: Any) -> Any:
        making = backups.backup(
            settings, file, now, with_files=with_files, passphrase=passphrase, progress=progress
        )
        return _run(making)

    if target == STANDARD_OUTPUT:
        with _failures():
            write(sys.stdout.buffer)
            sys.stdout.buffer.flush()
        return
    path = Path(target)
    if path.is_dir():
        path /= backups.name_of(settings, now)
    with _failures(), backups.new_file(path) as file:
        manifest = write(file)
    progress.end()
    size, rows = path.stat().st_size, sum(table.rows for table in manifest.tables.values())
    document = {"path": str(path), "bytes": size, "rows": rows, "files": manifest.files}
    listed = f" ({manifest.files:,} files are listed, not copied)" if manifest.listed_files else ""
    sentence = f"{path}: {rows:,} rows and {manifest.files:,} files in {size:,} bytes{listed}"
    Output(as_json=as_json).done(document, sentence)


@click.command("verify")
@existing_archive
@click.option("--deep", is_flag=True, help="Restore into a scratch database and compare every row.")
@json_option
def verify(*, archive: Path, deep: bool, as_json: bool) -> None:
    """Read all of a backup, and say whether it is good."""
    from happy.adapters import backups

    progress = Progress()
    with _failures(archive):
        header, manifest = backups.verify(archive)
        if deep:
            _run(backups.verify_deep(archive, manifest, progress))
    progress.end()
    rows = sum(table.rows for table in manifest.tables.values())
    made = f"{header.flavor} {header.server_version}, schema {header.schema_revision}"
    Output(as_json=as_json).details(
        {"header": header, "tables": manifest.tables, "files": manifest.files},
        {
            "good": str(archive),
            "made": moment(Millis(header.created_at)),
            "by": made,
            "holds": f"{rows:,} rows, {manifest.files:,} files",
        },
    )


@click.command("restore")
@existing_archive
@click.option("--into-file", type=click.Path(path_type=Path), help="Make just this SQLite file.")
@with_settings
def restore(settings: Light | Full, *, archive: Path, into_file: Path | None) -> None:
    """Fill an empty data directory or database from a backup.

    The backup may be of either flavor. The server must be stopped.
    """
    from happy.adapters import backups

    progress = Progress()
    with _failures(archive):
        if into_file is not None:
            header, manifest = _run(backups.restore_into_file(archive, into_file, progress))
        else:
            header, manifest = _run(backups.restore(settings, archive, _passphrase, progress))
    progress.end()
    rows = sum(table.rows for table in manifest.tables.values())
    click.echo(f"{rows:,} rows of {moment(Millis(header.created_at))} were restored.")
    if into_file is None and manifest.listed_files:
        click.echo(
            f"{len(manifest.listed_files):,} files were not in the backup: see that the store has them."
        )
    if into_file is None:
        click.echo("Start the server, and see that a device which was signed in lists its sessions.")


class Progress:
    """What is being done, on one line of a terminal; nothing if there is none."""

    def __init__(self) -> None:
        self._shown = 0.0

    def __call__(self, words: str) -> None:
        now = time.monotonic()
        if sys.stderr.isatty() and now - self._shown >= PROGRESS_SECONDS:
            self._shown = now
            click.echo(f"\r\033[K{printable(words)}", nl=False, err=True)

    def end(self) -> None:
        if self._shown:
            click.echo("\r\033[K", nl=False, err=True)


@contextmanager
def _failures(archive: Path | None = None) -> Iterator[None]:
    try:
        yield
    except HappyError as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        where = f"{archive}: " if archive is not None else ""
        raise CommandFailed(f"{where}{error}{cause}") from error
    except OSError as error:
        raise CommandFailed(f"{error.filename or archive or 'standard output'}: {error.strerror}") from error


def _run(work: Coroutine[Any, Any, T]) -> T:
    import asyncio

    return asyncio.run(work)


def _new_passphrase() -> str:
    return _from_variable() or str(
        click.prompt("Passphrase", hide_input=True, confirmation_prompt=True, err=True)
    )


def _passphrase() -> str:
    return _from_variable() or str(click.prompt("Passphrase of the backup", hide_input=True, err=True))


def _from_variable() -> str:
    found = os.environ.get(PASSPHRASE, "")
    if not found and not sys.stdin.isatty():
        raise SettingsError(f"a passphrase is needed: set {PASSPHRASE}")
    return found
