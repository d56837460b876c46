"""The commands that decide who may have an account, where new ones need approval."""

import click

from happy.cli.administration import Administration, administers
from happy.cli.common import PROGRAM
from happy.cli.output import Row, moment
from happy.domain.registration import DECISION_LIFETIME, RegistrationRequest
from happy.domain.values import HOUR
from happy.services.approvals import Approvals
from happy.settings.registration import public_key

HOURS = DECISION_LIFETIME // HOUR


@click.command("pending")
@administers
async def pending(administration: Administration) -> None:
    """List pending registration requests."""
    found = await Approvals(administration.store, administration.now).all()
    administration.output.listing(found, map(_row, found), nothing="Nobody is waiting.")


@click.command("approve")
@click.argument("key")
@administers
async def approve(administration: Administration, key: str) -> None:
    """Let somebody in, by code or public key.

    The code is the one that they were given.
    """
    request = await Approvals(administration.store, administration.now).decide(
        public_key(key) or key, "approved"
    )
    also = f", or another one from {request.address}," if request.address else ""
    administration.output.done(
        request,
        f"Approved {request.code}: it{also} may make an account within {HOURS} hours. Let them try again.",
    )
    mode = administration.settings.registration.mode
    if mode != "approve":
        click.echo(
            f"{PROGRAM}: warning: approvals count with HAPPY_REGISTRATION=approve, not {mode}", err=True
        )


@click.command("refuse")
@click.argument("key")
@administers
async def refuse(administration: Administration, key: str) -> None:
    """Turn somebody away, with their address for a day."""
    request = await Approvals(administration.store, administration.now).decide(
        public_key(key) or key, "refused"
    )
    administration.output.done(request, f"Refused {request.code}, and its address for {HOURS} hours.")


def _row(request: RegistrationRequest) -> Row:
    return {
        "CODE": request.code,
        "ADDRESS": request.address or "-",
        "FIRST": moment(request.created_at),
        "LAST": moment(request.updated_at),
        "STATUS": request.status,
        "PUBLIC KEY": request.public_key,
    }
