"""The command that shows how much a server stores."""

from contextlib import AsyncExitStack

import click

from happy.cli.administration import Administration, administers
from happy.cli.output import Row, number
from happy.cli.progress import ProgressBar
from happy.domain.amounts import counted, size
from happy.domain.statistics import Day, LargestAccount, Summary, TableSize
from happy.services.statistics import Statistics


@click.command("stats")
@click.option("--all", "everything", is_flag=True, help="Also what takes long, such as all files.")
@administers
async def stats(administration: Administration, *, everything: bool) -> None:
    """Show how much is stored, by table, day and account.

    Large numbers are estimates, shown with ~: the answer is as quick on a large database.
    """
    from happy.adapters.flavors import open_files_beside

    async with AsyncExitStack() as stack:
        progress = stack.enter_context(ProgressBar())
        files = None
        if everything:
            files = await stack.enter_async_context(open_files_beside(administration.settings))
        found = await Statistics(administration.store, administration.now).summary(files, progress)
    output = administration.output
    if output.as_json:
        output.details(found, {})
        return
    output.details(found, _overview(found))
    output.table("Tables", [_table_row(table) for table in found.tables if table.rows])
    output.table("Messages per day (UTC)", map(_day_row, found.messages_per_day))
    output.table("Accounts with the most messages", map(_account_row, found.largest_accounts or ()))


def _overview(found: Summary) -> Row:
    files = found.files
    return {
        "database": size(found.database_bytes),
        "files": "not counted without --all"
        if files is None
        else f"{number(files.count)}, {size(files.bytes)}",
        "active": f"{counted(found.active.sessions, 'session')}, {counted(found.active.machines, 'machine')}",
        **({"accounts": "the largest are not shown without --all"} if found.largest_accounts is None else {}),
    }


def _table_row(table: TableSize) -> Row:
    return {
        "TABLE": table.table,
        "ROWS": _estimate(table.rows, estimated=table.estimated),
        "BYTES": size(table.bytes),
    }


def _day_row(day: Day) -> Row:
    more = "more than " if day.estimated else ""
    return {"DAY": day.day, "MESSAGES": f"{more}{number(day.messages)}"}


def _account_row(account: LargestAccount) -> Row:
    return {
        "ACCOUNT": account.account_id,
        "SESSIONS": number(account.sessions),
        "MESSAGES": number(account.messages),
        "STORED": size(account.stored_bytes) if account.stored_bytes else "-",
    }


def _estimate(count: int, *, estimated: bool) -> str:
    return f"~{number(count)}" if estimated else number(count)
