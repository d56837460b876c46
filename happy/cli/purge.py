"""The command that removes what is old and not needed any more."""

import click

from happy.cli.administration import Administration, administers
from happy.cli.output import Row, number, size
from happy.cli.progress import Progress
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
@click.option("--yes", is_flag=True, help="Remove it; without this it is only counted.")
@administers
async def purge(administration: Administration, inactive_days: int | None, *, files: bool, yes: bool) -> None:
    """Count what is old and not needed; remove it with --yes.

    That is what has expired and what deletions have left; more with --inactive-days and --files.
    """
    from happy.adapters.flavors import open_files_beside

    output, progress = administration.output, Progress()
    async with open_files_beside(administration.settings) as store:
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
        removes = yes and any(one.count for one in found)
        if removes:
            await work.remove()
            progress.end()
    if output.as_json:
        output.details({"removed": yes, "found": found}, {})
        return
    output.listing(found, map(_row, found), nothing="")
    if not any(one.count for one in found):
        output.done({}, "There is nothing to remove.")
    else:
        output.done({}, "All of it is removed." if yes else "Nothing was removed: add --yes to remove it.")


def _row(one: Leftover) -> Row:
    messages = "" if one.messages is None else f" with {number(one.messages)} messages"
    return {
        "WHAT": one.kind,
        "COUNT": f"{number(one.count)}{messages}",
        "BYTES": "-" if one.bytes is None else size(one.bytes),
    }
