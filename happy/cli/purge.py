"""The command that removes what is old and not needed any more."""

import sys

import click

from happy.cli.administration import Administration, administers
from happy.cli.output import Output, Row, number
from happy.cli.progress import ProgressBar
from happy.domain.amounts import counted, size
from happy.domain.leftovers import Leftover
from happy.services.purge import Purge


@click.command("purge")
@click.option(
    "--inactive-days",
    type=click.IntRange(1, 36_500),
    metavar="N",
    help="Also delete sessions that were not used for N days.",
)
@click.option(
    "--files",
    is_flag=True,
    help="Also files without a session or account, of a store that is this server's alone.",
)
@click.option(
    "--yes", is_flag=True, help="Remove it without a prompt. Without a terminal and this it is only counted."
)
@administers
async def purge(administration: Administration, inactive_days: int | None, *, files: bool, yes: bool) -> None:
    """Count what is old and not needed, and remove it.

    Without --yes only after a prompt, which needs a terminal.
    That is what has expired and what deletions have left; more with --inactive-days and --files.
    """
    from happy.adapters.flavors import open_files_beside

    output = administration.output
    async with open_files_beside(administration.settings) as store:
        with ProgressBar() as progress:
            work = Purge(
                administration.store,
                store,
                administration.now,
                progress,
                inactive_days=inactive_days,
                orphaned_files=files,
            )
            found = await work.find()
            progress.end()
            if not output.as_json:
                output.listing(found, map(_row, found), nothing="")
            if not any(one.count for one in found):
                done = "There is nothing to remove."
            elif yes or _is_wanted(output):
                await work.remove()
                done = "All of it is removed."
            else:
                done = "Nothing was removed: add --yes to remove it."
    output.done({"removed": yes, "found": found}, done)


def _is_wanted(output: Output) -> bool:
    """Where somebody can be asked: anywhere else it is only counted. Raises CommandFailed for a no."""
    if output.as_json or not sys.stdin.isatty():
        return False
    output.confirm([], yes=False)
    return True


def _row(one: Leftover) -> Row:
    messages = "" if one.messages is None else f" with {counted(one.messages, 'message')}"
    return {
        "WHAT": one.kind,
        "COUNT": f"{number(one.count)}{messages}",
        "BYTES": "-" if one.bytes is None else size(one.bytes),
    }
