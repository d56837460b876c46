"""The commands that show the accounts of this server."""

import click

from happy.cli.administration import Administration, administers
from happy.cli.common import InWrittenOrder
from happy.cli.output import Row, moment
from happy.domain.administration import AccountRecord
from happy.services.account_directory import AccountDirectory


@click.group("accounts", cls=InWrittenOrder)
def accounts() -> None:
    """Who has an account, and what may be done with it."""


@accounts.command("list")
@administers
async def list_accounts(administration: Administration) -> None:
    """List all accounts."""
    found = [record async for record in AccountDirectory(administration.store).all()]
    administration.output.listing(found, map(_row, found), nothing="There are no accounts.")


@accounts.command("show")
@click.argument("account")
@administers
async def show_account(administration: Administration, account: str) -> None:
    """Show one account, named by its id, username or public key."""
    directory = AccountDirectory(administration.store)
    record = await directory.find(account)
    belongings = await directory.belongings(record.id)
    administration.output.details(
        {"account": record, "belongings": belongings},
        {
            "account": record.id,
            "name": record.name or "-",
            "public key": record.public_key,
            "created": moment(record.created_at),
            "last change": moment(record.updated_at),
            "has": belongings.in_words(),
        },
    )


def _row(record: AccountRecord) -> Row:
    return {
        "ACCOUNT": record.id,
        "NAME": record.name or "-",
        "CREATED": moment(record.created_at),
        "LAST CHANGE": moment(record.updated_at),
    }
