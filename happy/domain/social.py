"""Friendship: the state transitions of a pair of accounts, and the notices they cause.

protocol: http#post-v1friendsadd, http#notices

A pair has two rows, one for each direction, and each account sees only its own. Invariant: both are `friend`
or none is, and the counterpart of `pending` is `requested`.
"""

from typing import Literal

from msgspec import Struct

from happy.domain.values import HOUR, AccountId, Millis

Status = Literal["none", "requested", "pending", "friend", "rejected"]
NoticeKind = Literal["friend_request", "friend_accepted"]
Action = Literal["created", "updated", "deleted"]

NOTICE_COOLDOWN = Millis(24 * HOUR)


class Relation(Struct, frozen=True):
    """One direction of a pair; without a row it is `none`. `notified_at` is the last notice about `other`."""

    owner: AccountId
    other: AccountId
    status: Status = "none"
    notified_at: Millis | None = None


class Transition(Struct, frozen=True):
    """A change of status of the row that `owner` has for `other`."""

    owner: AccountId
    other: AccountId
    status: Status
    action: Action
    """As the event calls it: `created` from `none`, `deleted` to `none`, otherwise `updated`."""


class Notice(Struct, frozen=True):
    """A post about `other` for the feed of `recipient`."""

    recipient: AccountId
    other: AccountId
    kind: NoticeKind

    @property
    def repeat_key(self) -> str:
        """A later notice replaces the earlier one of the same kind about the same account."""
        return f"{self.kind}_{self.other}"


Change = Transition | Notice


def add(mine: Relation, theirs: Relation, now: Millis) -> list[Change]:
    """Request friendship, or accept a request."""
    after = added(mine.status, theirs.status)
    if after == (mine.status, theirs.status):
        return []
    transitions = _transitions(mine, theirs, after)
    if after == ("friend", "friend"):
        return [
            *transitions,
            *_notices(mine, "friend", "friend_accepted", now),
            *_notices(theirs, "friend", "friend_accepted", now),
        ]
    return [*transitions, *_notices(theirs, after[1], "friend_request", now)]


def remove(mine: Relation, theirs: Relation) -> list[Change]:
    """Withdraw a request, decline one, or end a friendship. Causes no notice."""
    return [*_transitions(mine, theirs, removed(mine.status, theirs.status))]


def added(mine: Status, theirs: Status) -> tuple[Status, Status]:
    if theirs == "requested":
        return "friend", "friend"
    if mine in ("none", "rejected"):
        return "requested", "pending" if theirs == "none" else theirs
    return mine, theirs


def removed(mine: Status, theirs: Status) -> tuple[Status, Status]:
    match mine:
        case "requested":  # the counterpart of a withdrawn request must not remain pending
            return "rejected", "none" if theirs == "pending" else theirs
        case "friend":
            return "pending", "requested"
        case "pending":
            return "none", theirs if theirs == "rejected" else "none"
        case "none" | "rejected":
            return mine, theirs


def may_notify(status: Status, notified_at: Millis | None, now: Millis) -> bool:
    """Whether the owner of a row with this status may get a notice about the other account."""
    return status != "rejected" and (notified_at is None or notified_at < now - NOTICE_COOLDOWN)


def _transitions(mine: Relation, theirs: Relation, after: tuple[Status, Status]) -> list[Transition]:
    return [
        Transition(before.owner, before.other, status, _action(before.status, status))
        for before, status in zip((mine, theirs), after, strict=True)
        if status != before.status
    ]


def _action(before: Status, after: Status) -> Action:
    if before == "none":
        return "created"
    return "deleted" if after == "none" else "updated"


def _notices(relation: Relation, status: Status, kind: NoticeKind, now: Millis) -> list[Notice]:
    if not may_notify(status, relation.notified_at, now):
        return []
    return [Notice(relation.owner, relation.other, kind)]
