"""Push notifications and their delivery tickets (protocol: http#push)."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

EventKind = Literal["done", "permission", "question"]
Result = Literal["sent", "partial", "suppressed", "no_tokens", "failed"]

ACTIVE_CLIENT = "active-ui-client"


class Notification(Struct, frozen=True):
    """Title and text that a device shows; `data` is what its app needs to open the right screen."""

    title: str
    body: str
    data: dict[str, Any]


class Ticket(Struct, frozen=True):
    """The push service's response for one device: accepted, or the error."""

    error: str | None = None
    gone: bool = False
    """The device is not registered any more: drop its token."""


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
    """Takes one ticket for every device; no tickets means `no_tokens`."""
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
