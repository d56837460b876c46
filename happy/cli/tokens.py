"""The commands that show the tokens of an account and refuse one of them."""

import click

from happy.cli.administration import PHONES, Administration, administers, yes_option
from happy.cli.common import InWrittenOrder
from happy.cli.output import Row, moment
from happy.domain.revocations import TokenUse
from happy.services.account_access import AccountAccess
from happy.services.account_directory import AccountDirectory


@click.group("tokens", cls=InWrittenOrder)
def tokens() -> None:
    """The tokens that devices have of an account."""


@tokens.command("list")
@click.argument("account")
@administers
async def list_tokens(administration: Administration, account: str) -> None:
    """List the tokens of an account that were used, the latest first."""
    record = await AccountDirectory(administration.store).find(account)
    access = AccountAccess(administration.store, administration.now)
    found = await access.tokens(record.id)
    documents = [{"token": use, "state": state} for use, state in found]
    rows = [_row(use, state) for use, state in found]
    administration.output.listing(documents, rows, nothing="No use of a token was seen yet.")


@tokens.command("revoke")
@click.argument("token_id", metavar="ID")
@yes_option
@administers
async def revoke_token(administration: Administration, token_id: str, *, yes: bool) -> None:
    """Refuse one token from now on.

    At every replica, and on open connections too.
    """
    access = AccountAccess(administration.store, administration.now)
    use = await access.find_token(token_id)
    effects = [
        (
            f"The token of {use.device or 'an unknown device'} ({use.address}), last seen"
            f" {moment(use.last_seen_at)}, is refused for ever."
        ),
        "That device is signed out within a second, and has to sign in or be linked again.",
        PHONES,
    ]
    administration.output.confirm(effects, yes=yes)
    await access.revoke(use)
    administration.output.done({"revoked": use.id, "account": use.account_id}, "The token is revoked.")


def _row(use: TokenUse, state: str) -> Row:
    return {
        "TOKEN": use.id,
        "STATE": state,
        "DEVICE": use.device or "-",
        "ADDRESS": use.address or "-",
        "ISSUED": moment(use.issued_at),
        "FIRST SEEN": moment(use.first_seen_at),
        "LAST SEEN": moment(use.last_seen_at),
    }
