"""The commands that make, check and restore backups."""

import os
import sys
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click

from happy.cli.common import PROGRAM, CommandFailed, interruptible, start_failures, with_settings
from happy.cli.output import Output, moment
from happy.cli.progress import Progress
from happy.domain.errors import HappyError
from happy.domain.values import Millis
from happy.settings import Full, Light, SettingsError, load_backups

if TYPE_CHECKING:
    from happy.domain.audit import Action

STANDARD_OUTPUT: Final = "-"
PASSPHRASE: Final = "HAPPY_BACKUP_PASSPHRASE"  # noqa: S105 - the name of a variable

T = TypeVar("T")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON; times are Unix milliseconds.")
archive_argument = click.argument("archive")


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

    TARGET is a file, a folder (the working directory unless it is given), s3://bucket/key, or - for
    standard output.
    """
    from happy.adapters import backups

    now = Millis(time.time_ns() // 1_000_000)
    passphrase = _new_passphrase() if with_secret else None
    progress = Progress()
    with _failures():
        contents = backups.Contents(with_files, passphrase)
        making = backups.backup(settings, target, now, contents, progress)
        made = _run(making)
    progress.end()
    _record(settings, "database.backup", _name(made.where), _with(with_secret))
    _warn(made.manifest)
    if target == STANDARD_OUTPUT:
        return
    rows, files = sum(table.rows for table in made.manifest.tables.values()), made.manifest.files
    document: dict[str, Any] = {"path": made.where, "bytes": made.size, "rows": rows, "files": files}
    document["dangling"] = made.manifest.dangling
    listed = f" ({files:,} files are listed, not copied)" if made.manifest.listed_files else ""
    sentence = f"{made.where}: {rows:,} rows and {files:,} files in {made.size:,} bytes{listed}"
    Output(as_json=as_json).done(document, sentence)


@click.command("verify")
@archive_argument
@click.option("--deep", is_flag=True, help="Restore into a scratch database and compare every row.")
@json_option
@click.pass_context
def verify(context: click.Context, *, archive: str, deep: bool, as_json: bool) -> None:
    """Read all of a backup, and say whether it is good.

    ARCHIVE is a file, s3://bucket/key, or - for standard input.
    """
    from happy.adapters import backups

    progress = Progress()
    with start_failures(), _failures(archive):
        store = load_backups(context.obj, dotenv=Path(".env")).store
        header, manifest = _run(backups.verify_source(archive, store, progress, deep=deep))
    progress.end()
    _warn(manifest)
    rows = sum(table.rows for table in manifest.tables.values())
    made = f"{header.flavor} {header.server_version}, schema {header.schema_revision}"
    Output(as_json=as_json).details(
        {
            "header": header,
            "tables": manifest.tables,
            "files": manifest.files,
            "dangling": manifest.dangling,
        },
        {
            "good": archive,
            "made": moment(Millis(header.created_at)),
            "by": made,
            "holds": f"{rows:,} rows, {manifest.files:,} files",
        },
    )


@click.command("restore")
@archive_argument
@click.option("--into-file", type=click.Path(path_type=Path), help="Make just this SQLite file.")
@with_settings
def restore(settings: Light | Full, *, archive: str, into_file: Path | None) -> None:
    """Fill an empty data directory or database from a backup.

    The backup may be of either flavor: a file, s3://bucket/key, or - for standard input. The server must be
    stopped.
    """
    from happy.adapters import backups

    progress = Progress()
    with _failures(archive):
        header, manifest = _run(backups.restore(settings, archive, into_file, _passphrase, progress))
    progress.end()
    if into_file is None:
        detail = f"of {moment(Millis(header.created_at))}, {header.flavor}"
        _record(settings, "database.restore", _name(archive), detail)
    _warn(manifest)
    rows = sum(table.rows for table in manifest.tables.values())
    click.echo(f"{rows:,} rows of {moment(Millis(header.created_at))} were restored.")
    if into_file is None and manifest.listed_files:
        click.echo(
            f"{len(manifest.listed_files):,} files were not in the backup: see that the store has them."
        )
    if into_file is None:
        click.echo("Start the server, and see that a device which was signed in lists its sessions.")


def _name(archive: str) -> str:
    return archive.rpartition("/")[2]


def _with(secret: bool) -> str:  # noqa: FBT001 - the name says it
    return "with the master secret" if secret else "without the master secret"


def _record(settings: Light | Full, action: "Action", subject: str, detail: str) -> None:
    """In the audit log. What was done is done: where that cannot be written, a warning says so."""
    from happy.adapters.flavors import open_store_beside
    from happy.services.audit import record

    async def write() -> None:
        now = Millis(time.time_ns() // 1_000_000)
        async with open_store_beside(settings) as store:
            await store.write(lambda tx: record(tx, now, "command line", action, subject, detail))

    try:
        _run(write())
    except HappyError as error:
        click.echo(f"This is not in the audit log: {error}", err=True)


def _warn(manifest: Any) -> None:
    for dangling in manifest.dangling:
        click.echo(f"{PROGRAM}: warning: {dangling}", err=True)


@contextmanager
def _failures(archive: str | None = None) -> Iterator[None]:
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
    if found := _from_variable():
        return found
    with interruptible():
        return str(click.prompt("Passphrase of the backup", hide_input=True, err=True))


def _from_variable() -> str:
    found = os.environ.get(PASSPHRASE, "")
    if not found and not sys.stdin.isatty():
        raise SettingsError(f"a passphrase is needed: set {PASSPHRASE}")
    return found
