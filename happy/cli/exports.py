"""The command that gives out what belongs to one account."""

import time

import click

from happy.cli.administration import Administration, administers, record_done, yes_option
from happy.cli.backup import confirm_replacing, name_of, report
from happy.cli.common import CommandFailed
from happy.cli.progress import ProgressBar
from happy.domain.values import Millis
from happy.services.account_directory import AccountDirectory


@click.command("export")
@click.argument("account", required=False)
@click.argument("target", default=".")
@click.option("--all", "everything", is_flag=True, help="Everything, as `backup` does.")
@yes_option
@administers
async def export(
    administration: Administration, *, account: str | None, target: str, everything: bool, yes: bool
) -> None:
    """Write one account and its files into a backup for `import`.

    ACCOUNT is an id, a username or a public key. TARGET is a file, a folder (the working directory
    unless it is given), s3://bucket/key, or - for standard output. With --all there is no ACCOUNT.
    """
    from happy.adapters import backups
    from happy.adapters.allocator import return_large_blocks

    return_large_blocks()

    if everything:
        target, chosen = account or target, None
    elif account is None:
        raise click.UsageError("Missing argument 'ACCOUNT', or --all.")
    else:
        chosen = (await AccountDirectory(administration.store).find(account)).id
    settings, output = administration.settings, administration.output
    now = Millis(time.time_ns() // 1_000_000)
    contents = backups.Contents(account=chosen)
    try:
        await confirm_replacing(settings, target, output, yes=yes)
        with ProgressBar() as progress:
            made = await backups.backup(settings, target, now, contents, progress)
    except OSError as error:
        raise CommandFailed(f"{error.filename or target}: {error.strerror}") from error
    if chosen is None:
        await record_done(settings, "database.backup", name_of(made.where), "without the master secret")
    else:
        await record_done(settings, "account.export", chosen, f"to {name_of(made.where)}")
    report(output, made, {"account": chosen}, milliseconds=time.time_ns() // 1_000_000 - now)
