"""The commands that show the machines of an account, and delete one."""

import click

from happy.cli.administration import Administration, account_in_words, administers, page_options, yes_option
from happy.cli.common import InWrittenOrder
from happy.cli.output import Row, moment, number
from happy.domain.administration import MachineRecord
from happy.domain.amounts import counted
from happy.services.account_directory import AccountDirectory
from happy.services.machine_directory import MachineDirectory


@click.group("machines", cls=InWrittenOrder)
def machines() -> None:
    """The machines whose daemons are linked to an account."""


@machines.command("list")
@click.argument("account")
@page_options
@administers
async def list_machines(administration: Administration, account: str, limit: int, after: str | None) -> None:
    """List the machines of an account, the last active first."""
    owner = await AccountDirectory(administration.store).find(account)
    directory = MachineDirectory(administration.store, administration.now)
    last = await directory.find(after) if after else None
    found, more = await directory.page(owner.id, last, limit)
    administration.output.page(
        found, map(_row, found), nothing="There are no machines.", after=found[-1].id if more else None
    )


@machines.command("show")
@click.argument("machine")
@administers
async def show_machine(administration: Administration, machine: str) -> None:
    """Show one machine."""
    directory = MachineDirectory(administration.store, administration.now)
    found = await directory.find(machine)
    keys = await directory.access_keys(found)
    administration.output.details(
        {"machine": found, "accessKeys": keys},
        {
            "machine": found.id,
            "account": found.account_id,
            "state": _state(found),
            "access keys": number(keys),
            "created": moment(found.created_at),
            "last change": moment(found.updated_at),
            "last active": moment(found.last_active_at),
        },
    )


@machines.command("delete")
@click.argument("machine")
@yes_option
@administers
async def delete_machine(administration: Administration, machine: str, *, yes: bool) -> None:
    """Delete a machine with its access keys, for ever.

    Its sessions remain.
    """
    directory = MachineDirectory(administration.store, administration.now)
    found = await directory.find(machine)
    owner = await AccountDirectory(administration.store).find(found.account_id)
    keys = await directory.access_keys(found)
    effects = [
        (
            f"The machine {found.id} of {account_in_words(owner)} is deleted for ever, with"
            f" {counted(keys, 'access key')}."
        ),
        *(["It is active: its daemon is connected."] if found.active else []),
        "Its sessions remain. Connected clients see it go within seconds.",
        "A daemon that starts there again registers it anew: `tokens revoke` keeps it out.",
    ]
    administration.output.confirm(effects, yes=yes)
    await directory.delete(found)
    administration.output.done(
        {"deleted": found.id, "account": found.account_id}, f"The machine {found.id} is deleted."
    )


def _state(machine: MachineRecord) -> str:
    return "active" if machine.active else "inactive"


def _row(machine: MachineRecord) -> Row:
    return {
        "MACHINE": machine.id,
        "STATE": _state(machine),
        "CREATED": moment(machine.created_at),
        "LAST CHANGE": moment(machine.updated_at),
        "LAST ACTIVE": moment(machine.last_active_at),
    }
