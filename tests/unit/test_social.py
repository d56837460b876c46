"""Friendship as tables of cases, and what no sequence of moves may ever break."""

from collections.abc import Iterator
from itertools import pairwise, product
from typing import get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from happy.domain import social
from happy.domain.social import NOTICE_COOLDOWN, Change, Notice, Relation, Status, Transition
from happy.domain.values import AccountId, Millis

NOW = Millis(1_700_000_000_000)
ME, YOU = AccountId("me"), AccountId("you")
STATUSES: tuple[Status, ...] = get_args(Status)
Pair = tuple[Status, Status]
STRANGERS: Pair = ("none", "none")
EVERY_PAIR: list[Pair] = list(product(STATUSES, STATUSES))

# (mine, theirs) before, (mine, theirs) after
ADDING: list[tuple[Pair, Pair]] = [
    (("none", "none"), ("requested", "pending")),
    (("rejected", "none"), ("requested", "pending")),
    (("none", "pending"), ("requested", "pending")),
    (("none", "rejected"), ("requested", "rejected")),
    (("rejected", "rejected"), ("requested", "rejected")),
    (("rejected", "pending"), ("requested", "pending")),
    (("none", "friend"), ("requested", "friend")),
    (("pending", "requested"), ("friend", "friend")),
    (("none", "requested"), ("friend", "friend")),
    (("rejected", "requested"), ("friend", "friend")),
    (("requested", "requested"), ("friend", "friend")),
    (("friend", "requested"), ("friend", "friend")),
    (("requested", "pending"), ("requested", "pending")),
    (("requested", "rejected"), ("requested", "rejected")),
    (("requested", "none"), ("requested", "none")),
    (("pending", "rejected"), ("pending", "rejected")),
    (("pending", "none"), ("pending", "none")),
    (("friend", "friend"), ("friend", "friend")),
    (("friend", "pending"), ("friend", "pending")),
]

REMOVING: list[tuple[Pair, Pair]] = [
    (("requested", "pending"), ("rejected", "none")),
    (("requested", "rejected"), ("rejected", "rejected")),
    (("requested", "none"), ("rejected", "none")),
    (("requested", "friend"), ("rejected", "friend")),
    (("friend", "friend"), ("pending", "requested")),
    (("friend", "none"), ("pending", "requested")),
    (("pending", "requested"), ("none", "none")),
    (("pending", "rejected"), ("none", "rejected")),
    (("pending", "none"), ("none", "none")),
    (("none", "none"), ("none", "none")),
    (("none", "requested"), ("none", "requested")),
    (("none", "pending"), ("none", "pending")),
    (("rejected", "none"), ("rejected", "none")),
    (("rejected", "requested"), ("rejected", "requested")),
    (("rejected", "pending"), ("rejected", "pending")),
]


def relations(
    pair: Pair, notified: tuple[Millis | None, Millis | None] = (None, None)
) -> tuple[Relation, Relation]:
    return Relation(ME, YOU, pair[0], notified[0]), Relation(YOU, ME, pair[1], notified[1])


def applied(pair: Pair, changes: list[Change]) -> Pair:
    mine, theirs = pair
    for change in changes:
        if isinstance(change, Transition) and change.owner == ME:
            mine = change.status
        elif isinstance(change, Transition):
            theirs = change.status
    return mine, theirs


def notices(changes: list[Change]) -> list[Notice]:
    return [change for change in changes if isinstance(change, Notice)]


@pytest.mark.parametrize(("before", "after"), ADDING)
def test_adding(before: Pair, after: Pair) -> None:
    assert after == applied(before, social.add(*relations(before), NOW))


@pytest.mark.parametrize(("before", "after"), REMOVING)
def test_removing(before: Pair, after: Pair) -> None:
    assert after == applied(before, social.remove(*relations(before)))


@pytest.mark.parametrize("pair", EVERY_PAIR)
def test_only_rows_that_change_are_named(pair: Pair) -> None:
    for changes in (social.add(*relations(pair), NOW), social.remove(*relations(pair))):
        for change in changes:
            if isinstance(change, Transition):
                assert change.status != pair[change.owner == YOU]


@pytest.mark.parametrize(
    ("before", "after", "action"),
    [
        ("none", "requested", "created"),
        ("rejected", "requested", "updated"),
        ("friend", "pending", "updated"),
        ("pending", "none", "deleted"),
    ],
)
def test_what_a_change_is_to_a_list_of_relations(before: Status, after: Status, action: str) -> None:
    moves = [
        change
        for theirs in STATUSES
        for changes in (
            social.add(*relations((before, theirs)), NOW),
            social.remove(*relations((before, theirs))),
        )
        for change in changes
        if isinstance(change, Transition) and change.owner == ME and change.status == after
    ]

    assert {action} == {move.action for move in moves}


# Notices

REQUEST = Notice(YOU, ME, "friend_request")
ACCEPTED = [Notice(ME, YOU, "friend_accepted"), Notice(YOU, ME, "friend_accepted")]
RECENT = Millis(NOW - NOTICE_COOLDOWN)
LONG_AGO = Millis(RECENT - 1)


@pytest.mark.parametrize(
    ("pair", "notified", "expected"),
    [
        (("none", "none"), (None, None), [REQUEST]),
        (("none", "none"), (None, RECENT), []),
        (("none", "none"), (NOW, LONG_AGO), [REQUEST]),
        (("rejected", "none"), (None, None), [REQUEST]),
        (("none", "rejected"), (None, None), []),
        (("none", "pending"), (None, None), [REQUEST]),
        (("requested", "pending"), (None, None), []),
        (("pending", "requested"), (None, None), ACCEPTED),
        (("pending", "requested"), (NOW, None), ACCEPTED[1:]),
        (("pending", "requested"), (LONG_AGO, RECENT), ACCEPTED[:1]),
        (("pending", "requested"), (RECENT, NOW), []),
        (("friend", "friend"), (None, None), []),
    ],
)
def test_who_gets_a_notice_of_adding(
    pair: Pair, notified: tuple[Millis | None, Millis | None], expected: list[Notice]
) -> None:
    assert expected == notices(social.add(*relations(pair, notified), NOW))


@pytest.mark.parametrize("pair", EVERY_PAIR)
def test_nobody_gets_a_notice_of_removing(pair: Pair) -> None:
    assert [] == notices(social.remove(*relations(pair)))


@pytest.mark.parametrize(
    ("notified_at", "expected"), [(None, True), (0, True), (LONG_AGO, True), (RECENT, False), (NOW, False)]
)
def test_a_day_has_to_pass_between_two_notices(notified_at: Millis | None, expected: bool) -> None:
    assert expected == social.may_notify("pending", notified_at, NOW)


def test_who_has_rejected_is_left_alone() -> None:
    assert not social.may_notify("rejected", None, NOW)


def test_a_notice_replaces_one_of_its_kind_about_the_same_account() -> None:
    assert ["friend_request_me", "friend_accepted_you"] == [
        notice.repeat_key for notice in (REQUEST, ACCEPTED[0])
    ]


# What always holds


def moves(pair: Pair) -> Iterator[Pair]:
    """Where either of the two can take the pair."""
    mine, theirs = pair
    yield social.added(mine, theirs)
    yield social.removed(mine, theirs)
    yield social.added(theirs, mine)[::-1]
    yield social.removed(theirs, mine)[::-1]


def reachable(start: Pair) -> set[Pair]:
    seen = {start}
    frontier = [start]
    while frontier:
        for after in moves(frontier.pop()):
            if after not in seen:
                seen.add(after)
                frontier.append(after)
    return seen


def test_strangers_can_become_just_these() -> None:
    one_way: set[Pair] = {
        ("none", "none"),
        ("requested", "pending"),
        ("rejected", "none"),
        ("rejected", "requested"),
        ("rejected", "rejected"),
        ("friend", "friend"),
    }

    assert one_way | {(theirs, mine) for mine, theirs in one_way} == reachable(STRANGERS)


@pytest.mark.parametrize("pair", EVERY_PAIR)
def test_friendship_is_open_to_every_pair(pair: Pair) -> None:
    """Also to pairs in states that only other servers have written."""
    assert ("friend", "friend") in reachable(pair)


@pytest.mark.parametrize("pair", sorted(reachable(STRANGERS)))
def test_each_side_can_request_or_remove_a_friendship_alone(pair: Pair) -> None:
    assert social.added(*pair)[0] in ("requested", "friend")
    assert social.removed(*social.removed(*pair))[0] in ("none", "rejected")


@pytest.mark.parametrize("pair", EVERY_PAIR)
def test_adding_again_changes_nothing(pair: Pair) -> None:
    once = social.added(*pair)

    assert once == social.added(*once)


@pytest.mark.parametrize("pair", [pair for pair in EVERY_PAIR if pair[0] != "friend"])
def test_removing_again_changes_nothing(pair: Pair) -> None:
    """But a friend who is removed asks for friendship anew, and can be declined."""
    once = social.removed(*pair)

    assert once == social.removed(*once)


@pytest.mark.parametrize("pair", sorted(reachable(STRANGERS)))
def test_a_request_is_never_one_that_the_other_cannot_grant(pair: Pair) -> None:
    mine, theirs = pair

    if mine == "requested":
        assert ("friend", "friend") == social.added(theirs, mine)
    if mine == "pending":
        assert ("friend", "friend") == social.added(mine, theirs)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=30))
def test_the_two_rows_always_fit_together(steps: list[tuple[bool, bool]]) -> None:
    pair = STRANGERS
    for i_move, adding in steps:
        move = social.added if adding else social.removed
        pair = move(*pair) if i_move else move(*pair[::-1])[::-1]
        mine, theirs = pair

        assert (mine == "friend") == (theirs == "friend")
        assert mine != "pending" or theirs == "requested"
        assert theirs != "pending" or mine == "requested"


@given(
    st.lists(
        st.tuples(st.sampled_from([ME, YOU]), st.booleans(), st.integers(0, 2 * NOTICE_COOLDOWN)), max_size=40
    )
)
def test_nobody_gets_two_notices_about_the_same_account_in_a_day(
    steps: list[tuple[AccountId, bool, int]],
) -> None:
    rows = {ME: Relation(ME, YOU), YOU: Relation(YOU, ME)}
    sent: dict[AccountId, list[int]] = {ME: [], YOU: []}
    now = NOW
    for mover, adding, passed in steps:
        now = Millis(now + passed)
        mine, theirs = rows[mover], rows[YOU if mover == ME else ME]
        for change in social.add(mine, theirs, now) if adding else social.remove(mine, theirs):
            if isinstance(change, Transition):
                rows[change.owner] = msgspec.structs.replace(rows[change.owner], status=change.status)
            else:
                rows[change.recipient] = msgspec.structs.replace(rows[change.recipient], notified_at=now)
                sent[change.recipient].append(now)

    for times in sent.values():
        assert all(later - earlier > NOTICE_COOLDOWN for earlier, later in pairwise(times))
