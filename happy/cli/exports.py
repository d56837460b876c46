"""The command that gives out what belongs to one account."""

import time

import click

from happy.cli.administration import Administration, administers
from happy.cli.backup import STANDARD_OUTPUT
from happy.cli.common import CommandFailed
from happy.cli.progress import Progress
from happy.domain.values import Millis
from happy.services.account_directory import AccountDirectory


@click.command("export")
@click.argument("account", required=False)
@click.argument("target", default=".")
@click.option("--all", "everything", is_flag=True, help="Everything, as `backup` does.")
@administers
async def export(
    administration: Administration, *, account: str | None, target: str, everything: bool
) -> None:
    """Write one account and its files into a backup for `import`.

    ACCOUNT is an id, a username or a public key. TARGET is a file, a folder (the working directory
    unless it is given), s3://bucket/key, or - for standard output. With --all there is no ACCOUNT.
    """
    from happy.adapters import backups

    if everything:
        target, chosen = account or target, None
    elif account is None:
        raise click.UsageError("Missing argument 'ACCOUNT', or --all.")
    else:
        chosen = (await AccountDirectory(administration.store).find(account)).id
    now, progress = Millis(time.time_ns() // 1_000_000), Progress()
    contents = backups.Contents(account=chosen)
    try:
        made = await backups.backup(administration.settings, target, now, contents, progress)
    except OSError as error:
        raise CommandFailed(f"{error.filename or target}: {error.strerror}") from error
    progress.end()
    if target == STANDARD_OUTPUT:
        return
    rows, files = sum(table.rows for table in made.manifest.tables.values()), made.manifest.files
    administration.output.done(
        {"account": chosen, "path": made.where, "bytes": made.size, "rows": rows, "files": files},
        f"{made.where}: {rows:,} rows and {files:,} files in {made.size:,} bytes",
    )
