"""The commands that show the accounts of this server, and keep them out, or remove them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

import click

from happy.cli.administration import PHONES, Administration, administers, yes_option
from happy.cli.common import InWrittenOrder
from happy.cli.output import Row, moment
from happy.cli.registration import approve, pending, refuse
from happy.domain.administration import AccountRecord
from happy.domain.revocations import Revocation
from happy.domain.values import AccountId
from happy.services.account_access import AccountAccess
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
            "state": record.state,
            "name": record.name or "-",
            "public key": record.public_key,
            "created": moment(record.created_at),
            "last change": moment(record.updated_at),
            "signed out": moment(record.signed_out_at),
            "has": belongings.in_words(),
        },
    )


@accounts.command("sign-out")
@click.argument("account")
@yes_option
@administers
async def sign_out(administration: Administration, account: str, *, yes: bool) -> None:
    """Refuse all tokens that the account has up to now."""
    await _take(
        administration,
        account,
        AccountAccess.sign_out,
        [
            "All tokens that {account} has up to now are refused for ever.",
            (
                "Every device is signed out within a second: phones sign in again with the account's key,"
                " terminals are linked again by `happy auth login --force`."
            ),
            PHONES,
        ],
        "{account} is signed out everywhere.",
        yes=yes,
    )


@accounts.command("disable")
@click.argument("account")
@yes_option
@administers
async def disable(administration: Administration, account: str, *, yes: bool) -> None:
    """Keep an account out until it is enabled again.

    Nothing of it is removed.
    """
    await _take(
        administration,
        account,
        AccountAccess.disable,
        ["All tokens of {account} are refused, and nobody can sign in to it, until it is enabled again."],
        "{account} is disabled.",
        yes=yes,
    )


@accounts.command("enable")
@click.argument("account")
@administers
async def enable(administration: Administration, account: str) -> None:
    """Let a disabled account in again, with the tokens that it had."""
    await _take(administration, account, AccountAccess.enable, [], "{account} is enabled.", yes=True)


@accounts.command("delete")
@click.argument("account")
@yes_option
@administers
async def delete(administration: Administration, account: str, *, yes: bool) -> None:
    """Remove an account and everything that belongs to it, for ever."""
    await _take(
        administration,
        account,
        AccountAccess.delete,
        [
            "{account} is deleted for ever, with {belongings}.",
            "All its tokens are refused. Whoever signs in with its key gets a new, empty account.",
        ],
        "{account} is deleted: the server removes what belongs to it in the background,"
        " or at its next start.",
        yes=yes,
    )


async def _take(
    administration: Administration,
    account: str,
    act: Callable[[AccountAccess, AccountId], Awaitable[Revocation]],
    effects: Sequence[str],
    done: str,
    *,
    yes: bool,
) -> None:
    """Show what `act` would do to the account, prompt, and do it."""
    directory = AccountDirectory(administration.store)
    record = await directory.find(account)
    names = {
        "account": f"The account {record.id} ({record.name})" if record.name else f"The account {record.id}",
        "belongings": (await directory.belongings(record.id)).in_words(),
    }
    administration.output.confirm([_sentence(effect, names) for effect in effects], yes=yes)
    changed = await act(AccountAccess(administration.store, administration.now), record.id)
    document = {"account": record.id, "state": changed.state, "signedOutAt": changed.signed_out_at}
    administration.output.done(document, _sentence(done, names))


def _sentence(template: str, names: Mapping[str, str]) -> str:
    """The template with the names in it, as a sentence wherever the account stands."""
    text = template.format_map(names)
    return text if template.startswith("{account}") else text.replace("The account", "the account", 1)


def _row(record: AccountRecord) -> Row:
    return {
        "ACCOUNT": record.id,
        "STATE": record.state,
        "NAME": record.name or "-",
        "CREATED": moment(record.created_at),
        "LAST CHANGE": moment(record.updated_at),
    }


for command in (pending, approve, refuse):
    accounts.add_command(command)
