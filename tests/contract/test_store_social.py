"""The repositories of people, of the relations between them, and of their feeds."""

import asyncio
from itertools import product
from typing import Any, get_args

import msgspec
import pytest

from happy.domain.errors import NotFound
from happy.domain.feed import MAX_COUNTER, FeedDraft, FeedItem
from happy.domain.ids import new_id
from happy.domain.people import Person
from happy.domain.ports.store import Store, Transaction
from happy.domain.social import Relation, Status
from happy.domain.values import AccountId, Millis
from tests.support import factories, people
from tests.support.factories import NOBODY, NOW

LATER = Millis(NOW + 1_000)

# People


async def seen(store: Store, viewer: AccountId, account_id: AccountId) -> Person | None:
    return await store.read(lambda tx: tx.people.get(viewer, account_id))


async def found(store: Store, viewer: AccountId, prefix: str, limit: int = 10) -> list[str | None]:
    matches = await store.read(lambda tx: tx.people.search(viewer, prefix, limit))
    return [person.username for person in matches]


async def test_a_new_account_is_a_person_without_a_name(store: Store) -> None:
    viewer, other = await factories.account(store), await factories.account(store)

    assert Person(other, None, None, None, None, None, "none") == await seen(store, viewer, other)
    assert Person(viewer, None, None, None, None, None, "none") == await seen(store, viewer, viewer)
    assert None is await seen(store, viewer, NOBODY)


async def test_a_person_has_what_is_stored_and_the_json_as_it_is(store: Store) -> None:
    viewer = await factories.account(store)
    other = await people.person(
        store,
        github='{"login": "ada", "bio": "é"}',
        first_name="Ada",
        last_name="Lovelace",
        username="ada",
        avatar='{"path": "public/a.png"}',
    )
    person = await seen(store, viewer, other)

    assert person is not None
    assert ("Ada", "Lovelace", "ada") == (person.first_name, person.last_name, person.username)
    assert person.avatar is not None
    assert {"path": "public/a.png"} == msgspec.json.decode(person.avatar)
    assert person.github is not None
    assert {"login": "ada", "bio": "é"} == msgspec.json.decode(person.github)


@pytest.mark.parametrize("status", get_args(Status))
async def test_a_person_has_the_status_that_the_viewer_gave(store: Store, status: Status) -> None:
    viewer, other = await factories.account(store), await factories.account(store)
    await people.relate(store, viewer, other, status)
    mine, theirs = await seen(store, viewer, other), await seen(store, other, viewer)

    assert mine is not None
    assert theirs is not None
    assert (status, "none") == (mine.status, theirs.status)


async def test_search_finds_usernames_by_their_beginning_in_any_case(store: Store) -> None:
    viewer = await people.person(store, username="anna")
    for name in ("anton", "bert", "hannah", "anna-lena"):
        await people.person(store, username=name)
    await factories.account(store)

    assert ["anna", "anna-lena", "anton"] == await found(store, viewer, "an")
    assert ["anna", "anna-lena"] == await found(store, viewer, "ANNA")
    assert [] == await found(store, viewer, "nna")


async def test_search_ignores_the_case_of_what_is_stored(store: Store) -> None:
    viewer = await people.person(store, username="OctoCat")

    assert ["OctoCat"] == await found(store, viewer, "octoc")


@pytest.mark.parametrize("prefix", ["%", "_", "a%", "a_", "\\", "a\\", "%%", "'"])
async def test_search_knows_no_wildcards(store: Store, prefix: str) -> None:
    viewer = await people.person(store, username="anna")

    assert [] == await found(store, viewer, prefix)


@pytest.mark.parametrize("name", ["50%", "a_b", "a\\b", "%", "\\"])
async def test_search_takes_wildcards_as_they_are(store: Store, name: str) -> None:
    viewer = await people.person(store, username=name)
    await people.person(store, username="axb")

    assert [name] == await found(store, viewer, name)


async def test_search_returns_the_first_by_username_up_to_the_limit(store: Store) -> None:
    viewer = await factories.account(store)
    for number in range(12):
        await people.person(store, username=f"user-{11 - number:02}")

    assert [f"user-{number:02}" for number in range(10)] == await found(store, viewer, "user")
    assert ["user-00"] == await found(store, viewer, "", limit=1)


async def test_an_empty_username_is_none(store: Store) -> None:
    viewer = await people.person(store, username="")

    assert [] == await found(store, viewer, "")


async def test_people_that_are_found_have_the_status_of_the_viewer(store: Store) -> None:
    viewer = await factories.account(store)
    for status in get_args(Status):
        await people.relate(store, viewer, await people.person(store, username=status), status)
    matches = await store.read(lambda tx: tx.people.search(viewer, "", 10))

    assert sorted(get_args(Status)) == [person.username for person in matches]
    assert all(person.username == person.status for person in matches)


async def test_friends_are_those_with_an_open_or_accepted_request(store: Store) -> None:
    viewer = await factories.account(store)
    others = {status: await factories.account(store) for status in get_args(Status)}
    for status, other in others.items():
        await people.relate(store, viewer, other, status)
        await people.relate(store, other, viewer, "friend")
    friends = await store.read(lambda tx: tx.people.friends(viewer))

    assert {(others[status], status) for status in ("friend", "pending", "requested")} == {
        (person.id, person.status) for person in friends
    }
    assert [] == await store.read(lambda tx: tx.people.friends(NOBODY))


# Relations


async def pair(store: Store, one: AccountId, other: AccountId) -> tuple[Relation, Relation] | None:
    return await store.write(lambda tx: tx.social.pair(one, other))


async def test_strangers_want_nothing_of_each_other(store: Store) -> None:
    one, other = await factories.account(store), await factories.account(store)

    assert (Relation(one, other), Relation(other, one)) == await pair(store, one, other)


async def test_there_is_no_pair_with_nobody(store: Store) -> None:
    one = await factories.account(store)

    assert None is await pair(store, one, NOBODY)
    assert None is await pair(store, NOBODY, one)
    assert None is await pair(store, NOBODY, NOBODY)


async def test_an_account_is_a_pair_with_itself(store: Store) -> None:
    one = await factories.account(store)

    assert (Relation(one, one), Relation(one, one)) == await pair(store, one, one)


@pytest.mark.parametrize(("first", "second"), list(product(get_args(Status), repeat=2)))
async def test_a_status_is_of_one_direction_and_can_be_replaced(
    store: Store, first: Status, second: Status
) -> None:
    one, other = await factories.account(store), await factories.account(store)
    await store.write(lambda tx: tx.social.save(one, other, first, NOW))
    await store.write(lambda tx: tx.social.save(one, other, second, LATER))

    assert (Relation(one, other, second), Relation(other, one)) == await pair(store, one, other)


async def test_a_new_status_keeps_the_time_of_the_last_notice(store: Store) -> None:
    one, other = await factories.account(store), await factories.account(store)
    await store.write(
        factories.in_turn(
            lambda tx: tx.social.save(one, other, "pending", NOW),
            lambda tx: tx.social.mark_notified(one, other, NOW),
            lambda tx: tx.social.save(one, other, "friend", LATER),
        )
    )

    assert (Relation(one, other, "friend", NOW), Relation(other, one)) == await pair(store, one, other)


async def test_two_simultaneous_friend_requests_see_each_other(store: Store) -> None:
    """What a move reads in its transaction is not changed before it writes."""
    one, other = await factories.account(store), await factories.account(store)

    async def ask(mover: AccountId, target: AccountId) -> None:
        async def body(tx: Transaction) -> None:
            relations = await tx.social.pair(mover, target)
            assert relations is not None
            asked = relations[1].status == "requested"
            await tx.social.save(mover, target, "friend" if asked else "requested", NOW)

        await store.write(body)

    await asyncio.gather(ask(one, other), ask(other, one))
    relations = await pair(store, one, other)

    assert relations is not None
    assert ["friend", "requested"] == sorted(relation.status for relation in relations)


# Feeds


async def post(store: Store, owner: AccountId, repeat_key: str | None = None, **body: Any) -> FeedItem:
    draft = FeedDraft(new_id(NOW), msgspec.json.encode(body), repeat_key)
    return await store.write(lambda tx: tx.feed.post(owner, draft, NOW))


async def counters(
    store: Store, owner: AccountId, before: int | None = None, after: int | None = None, limit: int = 10
) -> list[int]:
    items = await store.read(lambda tx: tx.feed.page(owner, before, after, limit))
    return [item.counter for item in items]


async def test_a_post_is_stored_as_it_was_returned(store: Store) -> None:
    owner = await factories.account(store)
    posted = await post(store, owner, "key", kind="text", text="é")
    (stored,) = await store.read(lambda tx: tx.feed.page(owner, None, None, 10))

    assert {"kind": "text", "text": "é"} == msgspec.json.decode(stored.body)
    assert msgspec.structs.replace(posted, body=stored.body) == stored
    assert (1, "key", NOW) == (stored.counter, stored.repeat_key, stored.created_at)


async def test_each_feed_is_numbered_by_itself(store: Store) -> None:
    one, other = await factories.account(store), await factories.account(store)
    posted = [await post(store, owner) for owner in (one, other, one, one)]

    assert [1, 1, 2, 3] == [item.counter for item in posted]
    assert [3, 2, 1] == await counters(store, one)
    assert [1] == await counters(store, other)


async def test_a_post_replaces_one_with_its_repeat_key(store: Store) -> None:
    owner, other = await factories.account(store), await factories.account(store)
    await post(store, other, "again")
    for key in ("again", "once", "again", None, None):
        await post(store, owner, key)

    assert [5, 4, 3, 2] == await counters(store, owner)
    assert [1] == await counters(store, other)


async def test_pages_lie_between_two_counters_the_newest_first(store: Store) -> None:
    owner = await factories.account(store)
    for _ in range(6):
        await post(store, owner)

    assert [6, 5] == await counters(store, owner, limit=2)
    assert [4, 3] == await counters(store, owner, before=5, limit=2)
    assert [6, 5] == await counters(store, owner, after=2, limit=2)
    assert [4, 3] == await counters(store, owner, before=5, after=2)
    assert [] == await counters(store, owner, before=1)
    assert [] == await counters(store, owner, after=6)
    assert [6, 5, 4, 3, 2, 1] == await counters(store, owner, before=MAX_COUNTER, after=0)


async def test_many_posts_at_once_get_numbers_of_their_own(store: Store) -> None:
    owner = await factories.account(store)
    posted = await asyncio.gather(*(post(store, owner) for _ in range(16)))

    assert list(range(1, 17)) == sorted(item.counter for item in posted)


async def test_a_number_of_a_post_that_fails_is_given_back(store: Store) -> None:
    owner = await factories.account(store)

    async def fail(tx: Transaction) -> None:
        await tx.feed.post(owner, FeedDraft(new_id(NOW), b"{}", None), NOW)
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        await store.write(fail)

    assert 1 == (await post(store, owner)).counter


async def test_nobody_has_a_feed(store: Store) -> None:
    with pytest.raises(NotFound):
        await post(store, NOBODY)

    assert [] == await counters(store, NOBODY)
