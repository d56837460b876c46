"""The command that takes over accounts from another server of this protocol."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
from msgspec import Struct

from happy.cli.administration import record_done, yes_option
from happy.cli.backup import name_of
from happy.cli.common import CommandFailed, json_option, with_settings
from happy.cli.output import Output, printable
from happy.cli.progress import ProgressBar
from happy.domain.amounts import counted
from happy.domain.errors import HappyError
from happy.domain.values import Millis
from happy.settings import S3, Full, Light, SettingsError

BUCKET: Final = "s3://"
POSTGRES: Final = ("postgresql://", "postgres://")
FILES: Final = "files"
"""Below the data directory of a server, where its uploaded files are."""

KINDS: Final = ("sessions", "public")
"""What is in there."""

SHOWN_CONFLICTS: Final = 20
"""How many are printed; JSON has more of them."""


class Request(Struct, frozen=True):
    """What was requested."""

    source: str
    files: Path | S3 | None
    dry_run: bool
    yes: bool


class ImportReport(Struct, frozen=True, rename="camel"):
    """What `--json` prints."""

    source: str
    secret: str
    dry_run: bool
    notes: list[str]
    tables: dict[str, Any]
    files: Any
    conflicts: list[Any]
    conflict_count: int


@click.command("import")
@click.argument("source")
@click.option("--files", "files_at", metavar="FILES", help="Uploaded files: a folder, or s3://BUCKET.")
@click.option("--dry-run", is_flag=True, help="Count what would come, and change nothing.")
@yes_option
@json_option
@with_settings
def import_(
    settings: Light | Full, *, source: str, files_at: str | None, dry_run: bool, yes: bool, as_json: bool
) -> None:
    """Take accounts over from another server, while this one runs.

    SOURCE is postgresql://..., a SQLite file or the data directory of a light server, a plain SQL dump,
    or a backup; s3://bucket/key and - (standard input) are a dump, a backup or a SQLite file, too.
    Nothing that is here is overwritten.
    """
    import asyncio

    from happy.adapters.allocator import return_large_blocks

    return_large_blocks()
    output = Output(as_json=as_json)
    files = None if files_at is None else _files(files_at)
    with _failures("" if source.startswith(POSTGRES) else source), ProgressBar() as progress:
        outcome = asyncio.run(_import(settings, Request(source, files, dry_run, yes), progress, output))
    if outcome.conflict_count:
        raise CommandFailed(
            f"{counted(outcome.conflict_count, 'conflict')}: what is here is kept;"
            " what conflicts was left out, with what belongs to it"
        )


@contextmanager
def _failures(source: str) -> Iterator[None]:
    """One line for each, and below it the commands that help. URLs of databases hold passwords: not shown."""
    from happy.adapters.imports.errors import SourceRefused

    where = f"{source}: " if source else ""
    try:
        yield
    except SourceRefused as error:
        for command in error.commands:
            click.echo(command)
        raise CommandFailed(f"{where}{error}") from error
    except HappyError as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        raise CommandFailed(f"{where}{error}{cause}") from error
    except OSError as error:
        raise CommandFailed(f"{error.filename or source}: {error.strerror or error}") from error


async def _import(settings: Light | Full, request: Request, progress: ProgressBar, output: Output) -> Any:
    from happy.adapters.imports import importing

    async with importing.open_source(settings, request.source, request.files, progress) as found:
        if request.dry_run or not request.yes:
            outcome = await importing.plan(settings, found, progress)
            progress.end()
            if request.dry_run or outcome.is_nothing_new:
                _show(output, found, outcome, dry_run=request.dry_run)
                return outcome
            output.confirm([*_lines(found, outcome), found.secret.sentence], yes=False)
        outcome = await importing.run(settings, found, Millis(time.time_ns() // 1_000_000), progress)
        progress.end()
        await _record(settings, request.source, outcome)
        _show(output, found, outcome, dry_run=False)
        return outcome


async def _record(settings: Light | Full, source: str, outcome: Any) -> None:
    """In the audit log, by name alone: URLs of databases hold passwords."""
    name = "a PostgreSQL database" if source.startswith(POSTGRES) else name_of(source)
    accounts, conflicts = outcome.of("Account").new, outcome.conflict_count
    detail = f"{counted(accounts, 'account')}, {counted(conflicts, 'conflict')}"
    await record_done(settings, "database.import", name, detail)


def _show(output: Output, source: Any, outcome: Any, *, dry_run: bool) -> None:
    report = ImportReport(
        source=source.staged.kind,
        secret=source.secret.verdict,
        dry_run=dry_run,
        notes=source.notes,
        tables=outcome.tables,
        files=outcome.files,
        conflicts=outcome.conflicts,
        conflict_count=outcome.conflict_count,
    )
    done = "Nothing is new" if outcome.is_nothing_new else "Would take" if dry_run else "Took"
    output.done(report, f"{done} from {source.staged.kind}:")
    if not output.as_json:
        for line in (*_lines(source, outcome), source.secret.sentence):
            click.echo(printable(line))


def _lines(source: Any, outcome: Any) -> list[str]:
    tables = [(name, counts) for name, counts in outcome.tables.items() if any(_numbers(counts))]
    if any(_numbers(outcome.files)):
        tables.append(("files", outcome.files))
    width = max((len(name) for name, _ in tables), default=0)
    lines = [f"  {name:<{width}}  {_in_words(counts)}" for name, counts in tables]
    lines += [f"  left out: {note}" for note in source.notes]
    shown = outcome.conflicts[:SHOWN_CONFLICTS]
    lines += [f"  conflict: {each.table} {each.key}: {each.reason}" for each in shown]
    if outcome.conflict_count > len(shown):
        more = outcome.conflict_count - len(shown)
        lines.append(f"  and {counted(more, 'more conflict')}")
    return lines or ["  nothing"]


def _numbers(counts: Any) -> tuple[int, int, int]:
    return counts.new, counts.here, counts.left_out


def _in_words(counts: Any) -> str:
    words = zip(("new", "here already", "left out"), _numbers(counts), strict=True)
    return ", ".join(f"{number:,} {word}" for word, number in words if number)


def _files(where: str) -> Path | S3:
    """Raises SettingsError."""
    if not where.startswith(BUCKET):
        folder = Path(where)
        if not folder.is_dir():
            raise SettingsError(f"--files: there is no folder {where}")
        inner = folder / FILES
        has_files = any((folder / name).is_dir() for name in KINDS)
        return (folder if has_files or not inner.is_dir() else inner).absolute()
    from happy.settings.full import read_bucket

    environ = click.get_current_context().obj
    return read_bucket(environ, where.removeprefix(BUCKET).strip("/"))
