"""The audit log: who did what to whom, of administrative acts, revocations, and who was let in."""

from typing import Final, Literal

from msgspec import Struct

from happy.domain.ids import new_id
from happy.domain.values import HOUR, Millis
from happy.limits import limit

Actor = Literal["command line", "system", "client"]
"""The command line of an administrator, the server by itself, or a client that a restriction let in."""

Action = Literal[
    "account.approve",
    "account.create",
    "account.delete",
    "account.disable",
    "account.enable",
    "account.export",
    "account.refuse",
    "account.sign-out",
    "database.backup",
    "database.import",
    "database.migrate",
    "database.restore",
    "invite.create",
    "invite.open",
    "invite.revoke",
    "machine.delete",
    "secret.forget",
    "secret.new",
    "secret.replace",
    "secret.rotate",
    "server.purge",
    "session.delete",
    "token.revoke",
]

MAX_TEXT: Final = limit(
    300, "characters of a subject or detail in the audit log", per="entry", then="the rest is cut off"
)
MAX_ENTRIES: Final = limit(
    10_000, "entries of the audit log", per="database", then="the oldest are deleted within an hour"
)
MAX_AGE: Final = limit(
    400 * 24 * HOUR,
    "milliseconds that an entry of the audit log is kept",
    per="entry",
    then="it is deleted within an hour",
)


class AuditEntry(Struct, frozen=True):
    """One act. `subject` is what it was done to, such as an account id. No field holds a secret."""

    id: str
    time: Millis
    actor: Actor
    action: Action
    subject: str
    detail: str


def audit_entry(now: Millis, actor: Actor, action: Action, subject: str, detail: str = "") -> AuditEntry:
    """A new entry; what is too long is cut, and control characters cannot forge a line."""
    return AuditEntry(new_id(now), now, actor, action, _plain(subject), _plain(detail))


def _plain(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text[:MAX_TEXT])
