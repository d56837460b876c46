"""The commands for invites: links that let somebody make an account."""

import sys
from typing import Final

import click

from happy.cli.administration import Administration, administers, yes_option
from happy.cli.common import PROGRAM, CommandFailed, InWrittenOrder
from happy.cli.output import Row, moment
from happy.domain.registration import Invite
from happy.domain.values import Millis
from happy.services.invites import MAX_DAYS, MAX_USES, create_invite, revoke_invite
from happy.settings import Full, Light

QUIET_ZONE: Final = 2
"""Light modules around the QR code."""


@click.group("invites", cls=InWrittenOrder)
def invites() -> None:
    """Links that let somebody make an account.

    They count with HAPPY_REGISTRATION=invite.
    """


@invites.command("create")
@click.option(
    "--uses",
    type=click.IntRange(1, MAX_USES),
    metavar="N",
    default=1,
    show_default=True,
    help="For so many accounts.",
)
@click.option(
    "--days",
    type=click.IntRange(1, MAX_DAYS),
    metavar="N",
    default=7,
    show_default=True,
    help="It counts for so long.",
)
@administers
async def create(administration: Administration, uses: int, days: int) -> None:
    """Make an invite, and print its link and QR code.

    They cannot be shown again.
    """
    base, now = _address(administration.settings), administration.now()
    made = await administration.store.write(lambda tx: create_invite(tx, uses, days, now))
    link = f"{base}/invite/{made.code}"
    invite = made.invite
    administration.output.details(
        {"invite": invite, "link": link},
        {"link": link, "invite": invite.id, "accounts": str(uses), "until": moment(invite.expires_at)},
    )
    if not administration.output.as_json and sys.stdout.isatty():
        _print_code(link)
    mode = administration.settings.registration.mode
    if mode != "invite":
        click.echo(f"{PROGRAM}: warning: invites count with HAPPY_REGISTRATION=invite, not {mode}", err=True)


@invites.command("list")
@administers
async def list_invites(administration: Administration) -> None:
    """List all invites."""
    found, now = await administration.store.read(lambda tx: tx.invites.all()), administration.now()
    rows = [_row(invite, now) for invite in found]
    administration.output.listing(found, rows, nothing="There are no invites.")


@invites.command("revoke")
@click.argument("invite")
@yes_option
@administers
async def revoke(administration: Administration, invite: str, *, yes: bool) -> None:
    """Withdraw an invite; accounts that were made with it remain."""
    known = await administration.store.read(lambda tx: tx.invites.all())
    if any(each.id == invite for each in known):
        effects = [f"The invite {invite} lets nobody in any more, also not who has opened it already."]
        administration.output.confirm(effects, yes=yes)
    now = administration.now()
    await administration.store.write(lambda tx: revoke_invite(tx, invite, now))
    administration.output.done({"revoked": invite}, f"The invite {invite} lets nobody in any more.")


def _address(settings: Light | Full) -> str:
    """Where the phone finds this server."""
    if settings.public_url is not None:
        return settings.public_url
    if isinstance(settings, Full):
        raise CommandFailed("set PUBLIC_URL to the address that clients use: the link of an invite needs it")
    from happy.cli.startup_banner import best_address, lan_addresses

    return best_address(settings, lan_addresses())


def _print_code(link: str) -> None:
    """Nothing where the terminal has no blocks to draw it with; the link is shown anyway."""
    try:
        "█▀▄".encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        return
    import segno

    click.echo()
    segno.make(link, micro=False).terminal(sys.stdout, border=QUIET_ZONE, compact=True)


def _row(invite: Invite, now: Millis) -> Row:
    return {
        "INVITE": invite.id,
        "ACCOUNTS": f"{invite.used} of {invite.uses}",
        "CREATED": moment(invite.created_at),
        "UNTIL": moment(invite.expires_at),
        "STATUS": "open" if invite.usable(now) else "used up" if invite.used >= invite.uses else "expired",
    }
