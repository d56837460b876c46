"""The commands that show the sessions of an account, without their content, and delete one."""

import click

from happy.cli.administration import Administration, account_in_words, administers, page_options, yes_option
from happy.cli.common import InWrittenOrder
from happy.cli.output import Row, moment, number
from happy.domain.administration import SessionRecord
from happy.domain.amounts import counted, size
from happy.domain.values import SessionId
from happy.services.account_directory import AccountDirectory
from happy.services.session_directory import SessionDirectory


@click.group("sessions", cls=InWrittenOrder)
def sessions() -> None:
    """The sessions of an account, without their content.

    That is encrypted.
    """


@sessions.command("list")
@click.argument("account")
@page_options
@administers
async def list_sessions(administration: Administration, account: str, limit: int, after: str | None) -> None:
    """List the sessions of an account, the newest first."""
    owner = await AccountDirectory(administration.store).find(account)
    directory = SessionDirectory(administration.store, administration.now)
    found, more = await directory.page(owner.id, SessionId(after) if after else None, limit)
    administration.output.page(
        found, map(_row, found), nothing="There are no sessions.", after=found[-1].id if more else None
    )


@sessions.command("show")
@click.argument("session")
@administers
async def show_session(administration: Administration, session: str) -> None:
    """Show one session."""
    found = await SessionDirectory(administration.store, administration.now).find(session)
    administration.output.details(
        found,
        {
            "session": found.id,
            "account": found.account_id,
            "state": _state(found),
            "messages": number(found.messages),
            "stored": "-" if found.stored_bytes is None else size(found.stored_bytes),
            "attachments": "-" if found.attachments is None else number(found.attachments),
            "created": moment(found.created_at),
            "last change": moment(found.updated_at),
            "last active": moment(found.last_active_at),
        },
    )


@sessions.command("delete")
@click.argument("session")
@yes_option
@administers
async def delete_session(administration: Administration, session: str, *, yes: bool) -> None:
    """Delete a session with its messages and files, for ever."""
    directory = SessionDirectory(administration.store, administration.now)
    found = await directory.find(session)
    owner = await AccountDirectory(administration.store).find(found.account_id)
    effects = [
        (
            f"The session {found.id} of {account_in_words(owner)} is deleted for ever, with"
            f" {counted(found.messages, 'message')}."
        ),
        *(["It is active: a client is writing to it."] if found.active else []),
        "Connected clients see it go within seconds; rows and files are removed in the background.",
    ]
    administration.output.confirm(effects, yes=yes)
    await directory.delete(found)
    administration.output.done(
        {"deleted": found.id, "account": found.account_id},
        f"The session {found.id} is deleted: the server removes what belongs to it in the background,"
        " or at its next start.",
    )


def _state(session: SessionRecord) -> str:
    return "active" if session.active else "inactive"


def _row(session: SessionRecord) -> Row:
    return {
        "SESSION": session.id,
        "STATE": _state(session),
        "MESSAGES": number(session.messages),
        "CREATED": moment(session.created_at),
        "LAST CHANGE": moment(session.updated_at),
        "LAST ACTIVE": moment(session.last_active_at),
    }
