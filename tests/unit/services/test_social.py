"""Friendship as use cases: what is stored, whom it is announced to, and what ends up in whose feed."""

import asyncio
import random
from typing import Any, NamedTuple

import msgspec
import pytest

from happy.domain.errors import NotFound, TooMany
from happy.domain.events import TO_USER
from happy.domain.values import AccountId
from happy.rates import MAX_SEARCHES, Rates
from happy.services.feed import FeedService
from happy.services.rate_limit import RateLimits
from happy.services.social import SocialService
from tests.support import factories, people
from tests.support.factories import NOBODY, NOW
from tests.unit.services.world import World

DAY = 24 * 60


class Person(NamedTuple):
    """An account and what it can do."""

    id: AccountId
    social: SocialService
    feed: FeedService

    async def add(self, other: "Person") -> str | None:
        profile = await self.social.add(self.id, other.id)
        return None if profile is None else profile.status

    async def remove(self, other: "Person") -> str | None:
        profile = await self.social.remove(self.id, other.id)
        return None if profile is None else profile.status

    async def status(self, other: "Person") -> str:
        return (await self.social.profile(self.id, other.id)).status

    async def posts(self) -> list[dict[str, Any]]:
        page = await self.feed.page(self.id, None, None, 100)
        return [msgspec.json.decode(item.body) for item in page.items]


async def person(world: World, **columns: Any) -> Person:
    account_id = await people.person(world.store, **columns)
    limits = RateLimits(Rates(), world.clock)
    social = SocialService(world.store, world.unit_of_work, world.files, limits)
    return Person(account_id, social, FeedService(world.store))


@pytest.fixture
async def ann(world: World) -> Person:
    return await person(world, username="ann")


@pytest.fixture
async def bob(world: World) -> Person:
    return await person(world, username="bob")


async def statuses(one: Person, other: Person) -> tuple[str, str]:
    return await one.status(other), await other.status(one)


def request_of(asker: Person) -> dict[str, Any]:
    return {"kind": "friend_request", "uid": asker.id}


def accepted_by(other: Person) -> dict[str, Any]:
    return {"kind": "friend_accepted", "uid": other.id}


async def test_a_request_is_accepted(ann: Person, bob: Person) -> None:
    assert "requested" == await ann.add(bob)
    assert ("requested", "pending") == await statuses(ann, bob)
    assert "friend" == await bob.add(ann)
    assert ("friend", "friend") == await statuses(ann, bob)
    assert "friend" == await ann.add(bob)


async def test_a_request_is_declined(ann: Person, bob: Person) -> None:
    await ann.add(bob)

    assert "none" == await bob.remove(ann)
    assert ("none", "none") == await statuses(ann, bob)


async def test_a_request_that_is_taken_back_does_not_wait_at_the_other_side(ann: Person, bob: Person) -> None:
    await ann.add(bob)

    assert "rejected" == await ann.remove(bob)
    assert ("rejected", "none") == await statuses(ann, bob)
    assert "requested" == await bob.add(ann)
    assert "friend" == await ann.add(bob)


async def test_a_removed_friend_is_returned_as_stored(ann: Person, bob: Person) -> None:
    await ann.add(bob)
    await bob.add(ann)

    assert "pending" == await ann.remove(bob)
    assert ("pending", "requested") == await statuses(ann, bob)


async def test_nobody_and_oneself_cannot_be_added(world: World, ann: Person) -> None:
    nobody = ann._replace(id=NOBODY)

    assert None is await ann.add(nobody)
    assert None is await ann.add(ann)
    assert None is await ann.remove(nobody)
    assert "none" == await ann.remove(ann)
    assert [] == world.sink.take()


async def test_nobody_has_no_profile(ann: Person) -> None:
    with pytest.raises(NotFound, match="User not found"):
        await ann.social.profile(ann.id, NOBODY)


async def test_friends_are_listed_with_what_is_between_us(world: World, ann: Person, bob: Person) -> None:
    carl, dora = await person(world), await person(world)
    await ann.add(bob)
    await carl.add(ann)
    await ann.add(dora)
    await dora.add(ann)
    stranger = await person(world)
    await ann.add(stranger)
    await ann.remove(stranger)
    listed = await ann.social.friends(ann.id)

    assert {(bob.id, "requested"), (carl.id, "pending"), (dora.id, "friend")} == {
        (profile.id, profile.status) for profile in listed
    }


# What both parties hear


async def test_a_relationship_change_has_the_form_that_the_app_reads(
    world: World, ann: Person, bob: Person
) -> None:
    await ann.add(bob)
    (body,) = [event.wire["body"] for event in world.sink.take() if event.account_id == ann.id]
    (bob_seen,) = await ann.social.friends(ann.id)

    assert {
        "t": "relationship-updated",
        "fromUserId": ann.id,
        "toUserId": bob.id,
        "status": "requested",
        "action": "created",
        "toUser": msgspec.to_builtins(bob_seen),
        "timestamp": NOW,
    } == body


async def published(world: World) -> list[tuple[AccountId, str, str, str]]:
    """Account, other account, new status and action of each change; each only for the account it is about."""
    changes = []
    for event in world.sink.take():
        body = event.wire["body"]
        if body["t"] == "relationship-updated":
            assert (event.account_id, TO_USER) == (body["fromUserId"], event.audience)
            assert (body["toUserId"], body["status"]) == (body["toUser"]["id"], body["toUser"]["status"])
            changes.append((event.account_id, body["toUserId"], body["status"], body["action"]))
    return sorted(changes)


async def test_every_change_is_published_to_the_account_it_is_about(
    world: World, ann: Person, bob: Person
) -> None:
    announced = []
    for move in (ann.add(bob), bob.add(ann), ann.remove(bob), bob.remove(ann), ann.remove(bob)):
        await move
        announced.append(await published(world))

    assert [
        sorted([(ann.id, bob.id, "requested", "created"), (bob.id, ann.id, "pending", "created")]),
        sorted([(ann.id, bob.id, "friend", "updated"), (bob.id, ann.id, "friend", "updated")]),
        sorted([(ann.id, bob.id, "pending", "updated"), (bob.id, ann.id, "requested", "updated")]),
        sorted([(ann.id, bob.id, "none", "deleted"), (bob.id, ann.id, "rejected", "updated")]),
        [],
    ] == announced


async def test_a_move_that_changes_nothing_is_not_announced(world: World, ann: Person, bob: Person) -> None:
    await ann.add(bob)
    world.sink.take()
    await ann.add(bob)
    await bob.remove(await person(world))

    assert [] == world.sink.take()


async def test_updates_are_numbered_for_each_account(world: World, ann: Person, bob: Person) -> None:
    await ann.add(bob)
    await bob.add(ann)
    numbers: dict[AccountId, list[int]] = {ann.id: [], bob.id: []}
    for event in world.sink.take():
        numbers[event.account_id].append(event.wire["seq"])

    assert {ann.id: [1, 2, 3], bob.id: [1, 2, 3]} == numbers
    assert 3 == await factories.account_seq(world.store, ann.id)


async def test_a_post_is_announced_as_it_is_stored(world: World, ann: Person, bob: Person) -> None:
    await ann.add(bob)
    (post,) = [event for event in world.sink.take() if event.wire["body"]["t"] == "new-feed-post"]
    ((item,), more) = msgspec.structs.astuple(await bob.feed.page(bob.id, None, None, 10))

    assert (bob.id, TO_USER, False) == (post.account_id, post.audience, more)
    assert {
        "t": "new-feed-post",
        "id": item.id,
        "body": {"kind": "friend_request", "uid": ann.id},
        "repeatKey": f"friend_request_{ann.id}",
        "cursor": "0-1",
        "createdAt": NOW,
    } == post.wire["body"]


# Notices


async def test_a_friend_request_is_a_feed_item_of_its_recipient(ann: Person, bob: Person) -> None:
    await ann.add(bob)

    assert ([], [request_of(ann)]) == (await ann.posts(), await bob.posts())


async def test_only_the_asker_gets_a_notice_of_an_acceptance_on_the_same_day(
    ann: Person, bob: Person
) -> None:
    await ann.add(bob)
    await bob.add(ann)

    assert ([accepted_by(bob)], [request_of(ann)]) == (await ann.posts(), await bob.posts())


async def test_both_get_a_notice_of_an_acceptance_after_a_day(world: World, ann: Person, bob: Person) -> None:
    await ann.add(bob)
    world.clock.advance(minutes=DAY, seconds=0.001)
    await bob.add(ann)

    assert [accepted_by(bob)] == await ann.posts()
    assert [accepted_by(ann), request_of(ann)] == await bob.posts()


@pytest.mark.parametrize(("waited", "cursors"), [(0, ["0-1"]), (DAY, ["0-1"]), (DAY + 1, ["0-2"])])
async def test_a_repeated_friend_request_replaces_the_feed_item_after_a_day(
    world: World, ann: Person, bob: Person, waited: int, cursors: list[str]
) -> None:
    await ann.add(bob)
    await ann.remove(bob)
    world.clock.advance(minutes=waited)
    await ann.add(bob)
    page = await bob.feed.page(bob.id, None, None, 10)

    assert cursors == [item.cursor for item in page.items]
    assert [request_of(ann)] == await bob.posts()


async def test_an_account_that_rejected_gets_no_notice(ann: Person, bob: Person) -> None:
    await bob.add(ann)
    await bob.remove(ann)
    await ann.add(bob)

    assert [] == await bob.posts()
    assert ("requested", "rejected") == await statuses(ann, bob)


async def test_the_time_of_the_last_notice_survives_every_change(
    world: World, ann: Person, bob: Person
) -> None:
    await ann.add(bob)
    for _ in range(3):
        world.clock.advance(minutes=60)
        await bob.remove(ann)
        await ann.add(bob)

    assert [request_of(ann)] == await bob.posts()
    assert ["0-1"] == [item.cursor for item in (await bob.feed.page(bob.id, None, None, 10)).items]


# Rows that other servers have left


async def test_a_ghost_of_a_cancelled_request_can_be_dismissed_and_answered(
    world: World, ann: Person, bob: Person
) -> None:
    await people.relate(world.store, ann.id, bob.id, "rejected")
    await people.relate(world.store, bob.id, ann.id, "pending")

    assert "pending" == await bob.add(ann)
    assert "none" == await bob.remove(ann)
    assert "requested" == await bob.add(ann)
    assert "friend" == await ann.add(bob)


# Many at once


async def test_sixteen_requests_from_both_sides_at_once_make_friends(
    world: World, ann: Person, bob: Person
) -> None:
    moves = [ann.add(bob) for _ in range(8)] + [bob.add(ann) for _ in range(8)]
    random.Random(1).shuffle(moves)
    answers = await asyncio.gather(*moves)

    assert ("friend", "friend") == await statuses(ann, bob)
    assert {"requested", "friend"} >= set(answers)
    assert 4 == len(await published(world))
    assert 2 == len(await ann.posts() + await bob.posts())


@pytest.mark.parametrize("seed", range(5))
async def test_any_concurrent_moves_leave_consistent_rows(
    world: World, ann: Person, bob: Person, seed: int
) -> None:
    chance = random.Random(seed)
    steps = [(chance.choice((ann, bob)), chance.random() < 0.6) for _ in range(32)]
    others = {ann.id: bob, bob.id: ann}
    await asyncio.gather(
        *(
            mover.add(others[mover.id]) if adding else mover.remove(others[mover.id])
            for mover, adding in steps
        )
    )
    mine, theirs = await statuses(ann, bob)

    assert (mine == "friend") == (theirs == "friend")
    assert mine != "pending" or theirs == "requested"
    assert theirs != "pending" or mine == "requested"


# Search


async def test_search_shows_ten_by_username_and_the_searcher_too(world: World, ann: Person) -> None:
    for number in range(12):
        await person(world, username=f"anna{number:02}")
    found = await ann.social.search(ann.id, "AN")

    assert ["ann", *(f"anna{number:02}" for number in range(9))] == [profile.username for profile in found]
    assert 10 == len(await ann.social.search(ann.id, ""))


async def test_a_search_for_more_than_any_name_finds_nobody(ann: Person) -> None:
    assert [] == await ann.social.search(ann.id, "a" * 60_000)


# Pages


async def test_the_feed_is_paged_to_its_end(world: World, ann: Person) -> None:
    for _ in range(7):
        await (await person(world)).add(ann)
    cursors, before = [], None
    more = True
    while more:
        page = await ann.feed.page(ann.id, before, None, 3)
        cursors.append([item.counter for item in page.items])
        before, more = page.items[-1].counter, page.has_more

    assert [[7, 6, 5], [4, 3, 2], [1]] == cursors


async def test_before_wins_over_after(world: World, ann: Person) -> None:
    for _ in range(4):
        await (await person(world)).add(ann)
    page = await ann.feed.page(ann.id, 3, 2, 10)

    assert [2, 1] == [item.counter for item in page.items]


async def test_b21_everybody_could_be_found_by_searching_without_a_pause(
    world: World, ann: Person, bob: Person
) -> None:
    for _ in range(MAX_SEARCHES):
        await ann.social.search(ann.id, "b")
    with pytest.raises(TooMany):
        await ann.social.search(ann.id, "b")
    await ann.social.search(bob.id, "b")  # everybody has a measure of his own
    world.clock.advance(minutes=1)

    assert [bob.id] == [found.id for found in await ann.social.search(ann.id, "b")]
