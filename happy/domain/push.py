"""What became of a push notification that was handed over for delivery (protocol: http#push)."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

EventKind = Literal["done", "permission", "question"]
Result = Literal["sent", "partial", "suppressed", "no_tokens", "failed"]

ACTIVE_CLIENT = "active-ui-client"


class Notification(Struct, frozen=True):
    """What a device shows, and in `data` what its app needs to open the right place."""

    title: str
    body: str
    data: dict[str, Any]


class Ticket(Struct, frozen=True):
    """What the push service says about one device: accepted, or why not."""

    error: str | None = None
    gone: bool = False
    """The token is of no use any more."""


class PushOutcome(Struct, frozen=True):
    """`tokens` are the accepted tickets when all were accepted, else the devices addressed."""

    result: Result
    tokens: int | UnsetType = UNSET
    delivered: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET


NO_TOKENS = PushOutcome("no_tokens")
SUPPRESSED = PushOutcome("suppressed", reason=ACTIVE_CLIENT)


def failed(reason: str) -> PushOutcome:
    return PushOutcome("failed", reason=reason)


def outcome_of(tickets: Sequence[Ticket]) -> PushOutcome:
    """One ticket for every device addressed, so none is `no_tokens`."""
    if not tickets:
        return NO_TOKENS
    errors = [ticket.error for ticket in tickets if ticket.error is not None]
    delivered = len(tickets) - len(errors)
    if not errors:
        return PushOutcome("sent", tokens=delivered)
    reason = ", ".join(errors)
    if delivered:
        return PushOutcome("partial", tokens=len(tickets), delivered=delivered, reason=reason)
    return failed(reason)


def event_data(session_id: str, given: dict[str, Any], kind: EventKind) -> dict[str, Any]:
    """A client may name another session, but not another kind."""
    return {"sessionId": session_id, **given, "kind": kind}
