"""The commands that make, check and restore backups."""

import os
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import click

from happy.cli.administration import record_done, yes_option
from happy.cli.common import PROGRAM, CommandFailed, json_option, start_failures, with_settings
from happy.cli.output import Output, moment
from happy.cli.passphrases import PASSPHRASE, new_passphrase, passphrase_of_backup
from happy.cli.progress import ProgressBar
from happy.domain.amounts import counted, size
from happy.domain.errors import HappyError
from happy.domain.values import Millis
from happy.settings import Full, Light, load_backups

if TYPE_CHECKING:
    from happy.adapters.archive.format import Header, Manifest
    from happy.adapters.backups import Made

STANDARD_OUTPUT: Final = "-"
NICE: Final = 10

T = TypeVar("T")

archive_argument = click.argument("archive")


def contents_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--with-files` and `--with-secret` of a backup of everything."""
    secret_help = f"Put the master secret in, sealed ({PASSPHRASE} or a prompt)."
    secret = click.option("--with-secret", is_flag=True, help=secret_help)
    files_help = "Copy the files of an object store, too."
    return click.option("--with-files", is_flag=True, help=files_help)(secret(command))


@click.command("backup")
@click.argument("target", default=".")
@contents_options
@yes_option
@json_option
@with_settings
def backup(
    settings: Light | Full, *, target: str, with_files: bool, with_secret: bool, yes: bool, as_json: bool
) -> None:
    """Back up everything while the server runs.

    TARGET is a file, a folder (the working directory unless it is given), s3://bucket/key, or - for
    standard output. What is there already is replaced with --yes, or after a prompt.
    """
    requested = Requested(with_files=with_files, with_secret=with_secret, yes=yes)
    back_up(settings, target, requested, Output(as_json=as_json))


class Requested(NamedTuple):
    """What is to be in a backup: everything, or one account; and whether it may replace another one."""

    with_files: bool = False
    with_secret: bool = False
    yes: bool = False
    account: str | None = None


def back_up(
    settings: Light | Full, target: str, requested: Requested, output: Output, **document: Any
) -> None:
    """Make one, record it and say so; `document` is what its JSON has besides. Raises CommandFailed."""
    from happy.adapters import backups

    now = Millis(time.time_ns() // 1_000_000)
    os.nice(NICE)  # a tenth of a busy core, as for backups that a server makes: clients come first
    with _failures():
        _run(_confirm_replacing(settings, target, output, yes=requested.yes))
        passphrase = new_passphrase() if requested.with_secret else None
        contents = backups.Contents(requested.with_files, passphrase, requested.account)
        with ProgressBar() as progress:
            made = _run(backups.backup(settings, target, now, contents, progress))
    if requested.account is None:
        _run(record_done(settings, "database.backup", name_of(made.where), _with(requested.with_secret)))
    else:
        _run(record_done(settings, "account.export", requested.account, f"to {name_of(made.where)}"))
    _warn(made.manifest)
    document["dangling"] = made.manifest.dangling
    _report(output, made, document, milliseconds=time.time_ns() // 1_000_000 - now)


async def _confirm_replacing(settings: Light | Full, target: str, output: Output, *, yes: bool) -> None:
    """Raises CommandFailed where something is at the target that is to stay; HappyError, OSError."""
    from happy.adapters import backup_storage as storage

    found = await storage.size_at(target, settings.backups.store)
    if found is not None:
        output.confirm([f"{target} is there already, with {size(found)}: it is replaced."], yes=yes)


def _report(output: Output, made: "Made", document: dict[str, Any], *, milliseconds: int) -> None:
    """The last line: on stderr where the backup itself goes to standard output."""
    rows, files = made.manifest.rows, made.manifest.files
    where = "" if made.where == STANDARD_OUTPUT else f"{made.where}: "
    sentence = (
        f"{where}{counted(rows, 'row')} and {_files_in_words(made.manifest, has_files=made.has_files)}"
        f" in {size(made.size)}, after {milliseconds / 1000:.1f} s"
    )
    if made.where == STANDARD_OUTPUT:
        click.echo(sentence, err=True)
        return
    numbers = {"path": made.where, "bytes": made.size, "rows": rows, "files": files}
    output.done({**numbers, **document}, sentence)


def _files_in_words(manifest: "Manifest", *, has_files: bool) -> str:
    files = counted(manifest.files, "file")
    return files if has_files or not manifest.files else f"{files} listed, not copied"


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

    with start_failures(), _failures(archive), ProgressBar() as progress:
        store = load_backups(context.obj, dotenv=Path(".env")).store
        header, manifest = _run(backups.verify_source(archive, store, progress, deep=deep))
    _warn(manifest)
    made = f"{header.flavor} {header.server_version}, schema {header.schema_revision}"
    files = _files_in_words(manifest, has_files=header.with_files)
    Output(as_json=as_json).details(
        _document(header, manifest),
        {
            "good": archive,
            "made": moment(Millis(header.created_at)),
            "by": made,
            "holds": f"{counted(manifest.rows, 'row')}, {files}",
        },
    )


@click.command("restore")
@archive_argument
@click.option("--into-file", type=click.Path(path_type=Path), help="Make just this SQLite file.")
@json_option
@with_settings
def restore(settings: Light | Full, *, archive: str, into_file: Path | None, as_json: bool) -> None:
    """Fill an empty data directory or database from a backup.

    The backup may be of either flavor: a file, s3://bucket/key, or - for standard input. The server must be
    stopped.
    """
    from happy.adapters import backups

    with _failures(archive), ProgressBar() as progress:

        def passphrase() -> str:
            progress.end()
            return passphrase_of_backup()

        header, manifest = _run(backups.restore(settings, archive, into_file, passphrase, progress))
    made = moment(Millis(header.created_at))
    if into_file is None:
        _run(record_done(settings, "database.restore", name_of(archive), f"of {made}, {header.flavor}"))
    _warn(manifest)
    lines = [f"Restored {counted(manifest.rows, 'row')} of {made}, and compared them."]
    if into_file is None and manifest.listed_files:
        files = counted(len(manifest.listed_files), "file")
        lines.append(f"Not in the backup, but listed there: {files}. See that the store has them.")
    elif into_file is None:
        lines.append(f"With them {counted(manifest.files, 'file')}.")
    if into_file is None:
        lines.append("Start the server, and see that a device which was signed in lists its sessions.")
    output = Output(as_json=as_json)
    output.done(_document(header, manifest), *lines)


def _document(header: "Header", manifest: "Manifest") -> dict[str, Any]:
    return {
        "header": header,
        "tables": manifest.tables,
        "files": manifest.files,
        "dangling": manifest.dangling,
    }


def name_of(archive: str) -> str:
    """Without the folders or the bucket that it is in."""
    return archive.rstrip("/").rpartition("/")[2]


def _with(secret: bool) -> str:  # noqa: FBT001 - the name says it
    return "with the master secret" if secret else "without the master secret"


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

    from happy.adapters.allocator import return_large_blocks

    return_large_blocks()
    return asyncio.run(work)
