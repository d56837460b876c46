"""The command that gives out what belongs to one account."""

from typing import Any

import click

from happy.cli.administration import opened_beside, yes_option
from happy.cli.backup import Requested, back_up, contents_options
from happy.cli.common import json_option, with_settings
from happy.cli.output import Output
from happy.services.account_directory import AccountDirectory
from happy.settings import Full, Light


@click.command("export")
@click.argument("account", required=False)
@click.argument("target", default=".")
@click.option("--all", "everything", is_flag=True, help="Everything, as `backup` does, with its options.")
@contents_options
@yes_option
@json_option
@with_settings
def export(
    settings: Light | Full,
    *,
    account: str | None,
    target: str,
    everything: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Write one account and its files into a backup for `import`.

    ACCOUNT is an id, a username or a public key. TARGET is a file, a folder (the working directory
    unless it is given), s3://bucket/key, or - for standard output. With --all there is no ACCOUNT.
    """
    import asyncio

    if everything:
        target, chosen = account or target, None
    elif account is None:
        raise click.UsageError("Missing argument 'ACCOUNT', or --all.")
    elif options["with_files"] or options["with_secret"]:
        raise click.UsageError(
            "--with-files and --with-secret are for --all: files of an account always come."
        )
    else:
        chosen = asyncio.run(_id_of(settings, account))
    back_up(settings, target, Requested(**options, account=chosen), Output(as_json=as_json), account=chosen)


async def _id_of(settings: Light | Full, account: str) -> str:
    """Raises CommandFailed."""
    async with opened_beside(settings) as store:
        return (await AccountDirectory(store).find(account)).id
