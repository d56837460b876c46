"""The repository of linking requests, the same for terminals and accounts."""

import asyncio

import msgspec
import pytest

from happy.domain.accounts import PairingKind, PairingRequest
from happy.domain.errors import NotFound
from happy.domain.ids import new_id
from happy.domain.ports.store import Store
from happy.domain.values import AccountId, Millis
from tests.support import factories
from tests.support.factories import NOBODY, NOW

LATER = Millis(NOW + 1_000)

pytestmark = pytest.mark.parametrize("kind", ["terminal", "account"])


async def make(
    store: Store, kind: PairingKind, key: str, now: Millis = NOW, *, supports_v2: bool = False
) -> PairingRequest:
    request_id = new_id(now)
    return await store.write(lambda tx: tx.pairings.open(kind, request_id, key, now, supports_v2=supports_v2))


async def get(store: Store, kind: PairingKind, key: str) -> PairingRequest | None:
    return await store.read(lambda tx: tx.pairings.get(kind, key))


async def answer(
    store: Store, kind: PairingKind, key: str, owner: AccountId, response: str, now: Millis = LATER
) -> bool:
    return await store.write(lambda tx: tx.pairings.answer(kind, key, owner, response, now))


async def test_an_unknown_key_has_no_request(store: Store, kind: PairingKind) -> None:
    assert None is await get(store, kind, factories.unused_key())


async def test_a_request_is_made_once_and_keeps_what_its_first_call_said(
    store: Store, kind: PairingKind
) -> None:
    key = factories.unused_key()
    first = await make(store, kind, key, supports_v2=True)
    again = await make(store, kind, key, LATER, supports_v2=False)

    assert first == again == await get(store, kind, key)
    assert (kind == "terminal", None, None, NOW) == (
        first.supports_v2,
        first.response,
        first.account_id,
        first.updated_at,
    )


async def test_requests_for_one_key_at_once_make_one(store: Store, kind: PairingKind) -> None:
    key = factories.unused_key()
    made = await asyncio.gather(*(make(store, kind, key) for _ in range(8)))

    assert 1 == len({request.id for request in made})


async def test_the_two_kinds_do_not_know_each_other(store: Store, kind: PairingKind) -> None:
    key = factories.unused_key()
    await make(store, kind, key)

    assert None is await get(store, "account" if kind == "terminal" else "terminal", key)


async def test_the_first_answer_stays(store: Store, kind: PairingKind) -> None:
    owner, other = await factories.account(store), await factories.account(store)
    key = factories.unused_key()
    made = await make(store, kind, key)
    first = await answer(store, kind, key, owner, "first")
    again = await answer(store, kind, key, owner, "again")
    late = await answer(store, kind, key, other, "late")

    assert [True, False, False] == [first, again, late]
    assert msgspec.structs.replace(made, response="first", account_id=owner, updated_at=LATER) == await get(
        store, kind, key
    )


async def test_of_many_answers_at_once_one_counts(store: Store, kind: PairingKind) -> None:
    owners = [await factories.account(store) for _ in range(4)]
    key = factories.unused_key()
    await make(store, kind, key)
    outcomes = await asyncio.gather(*(answer(store, kind, key, owner, owner) for owner in owners))
    stored = await get(store, kind, key)

    assert [stored and stored.account_id] == [
        owner for owner, won in zip(owners, outcomes, strict=True) if won
    ]


async def test_an_empty_answer_can_be_replaced(store: Store, kind: PairingKind) -> None:
    owner = await factories.account(store)
    key = factories.unused_key()
    await make(store, kind, key)

    assert await answer(store, kind, key, owner, "")
    assert await answer(store, kind, key, owner, "better")


async def test_an_answer_needs_a_request_and_an_account(store: Store, kind: PairingKind) -> None:
    owner = await factories.account(store)
    key = factories.unused_key()
    await make(store, kind, key)

    assert not await answer(store, kind, factories.unused_key(), owner, "answer")
    with pytest.raises(NotFound):
        await answer(store, kind, key, NOBODY, "answer")


async def test_a_request_that_is_made_anew_has_forgotten_its_answer(store: Store, kind: PairingKind) -> None:
    owner = await factories.account(store)
    key = factories.unused_key()
    await make(store, kind, key)
    await answer(store, kind, key, owner, "answer")
    anew = await store.write(lambda tx: tx.pairings.reopen(kind, key, LATER, supports_v2=True))

    assert anew == await get(store, kind, key)
    assert (kind == "terminal", None, None, LATER) == (
        anew.supports_v2,
        anew.response,
        anew.account_id,
        anew.updated_at,
    )


async def test_only_old_requests_that_nobody_answered_are_dropped(store: Store, kind: PairingKind) -> None:
    owner = await factories.account(store)
    old, empty, answered, new = (factories.unused_key() for _ in range(4))
    for key in (old, empty, answered):
        await make(store, kind, key)
    await make(store, kind, new, LATER)
    await store.write(lambda tx: tx.pairings.answer(kind, empty, owner, "", NOW))
    await store.write(lambda tx: tx.pairings.answer(kind, answered, owner, "answer", NOW))
    dropped = [await store.write(lambda tx: tx.pairings.drop_unanswered(LATER, 1)) for _ in range(3)]

    assert [1, 1, 0] == dropped
    assert [False, False, True, True] == [
        await get(store, kind, key) is not None for key in (old, empty, answered, new)
    ]


async def test_the_first_time_an_answer_was_handed_out_stays(store: Store, kind: PairingKind) -> None:
    owner = await factories.account(store)
    key, other = factories.unused_key(), factories.unused_key()
    for each in (key, other):
        await make(store, kind, each)
        await answer(store, kind, each, owner, "answer")

    async def pick_up(at: Millis) -> None:
        await store.write(lambda tx: tx.pairings.pick_up(kind, key, at))

    for at in (LATER, Millis(LATER + 5)):
        await pick_up(at)
    stored, untouched = await get(store, kind, key), await get(store, kind, other)

    assert stored is not None
    assert untouched is not None
    assert (LATER, LATER, None) == (stored.picked_up_at, stored.updated_at, untouched.picked_up_at)
    anew = await store.write(lambda tx: tx.pairings.reopen(kind, key, LATER, supports_v2=True))
    assert None is anew.picked_up_at


async def test_only_old_requests_that_were_answered_are_dropped(store: Store, kind: PairingKind) -> None:
    owner = await factories.account(store)
    unanswered, empty, old, new = (factories.unused_key() for _ in range(4))
    for key in (unanswered, empty, old, new):
        await make(store, kind, key)
    for key, response, at in ((empty, "", NOW), (old, "answer", NOW), (new, "answer", LATER)):
        await answer(store, kind, key, owner, response, at)
    dropped = [await store.write(lambda tx: tx.pairings.drop_answered(LATER, 1)) for _ in range(2)]

    assert [1, 0] == dropped
    assert [True, True, False, True] == [
        await get(store, kind, key) is not None for key in (unanswered, empty, old, new)
    ]
