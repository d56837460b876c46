"""The repository of accounts, their settings and their push tokens."""

import asyncio

import msgspec
import pytest

from happy.domain.accounts import Account, Settings
from happy.domain.errors import NotFound
from happy.domain.ids import new_id
from happy.domain.ports.store import Store
from happy.domain.values import AccountId, Millis, Swap, Versioned
from tests.support import factories
from tests.support.factories import NOBODY, NOW

LATER = Millis(NOW + 1_000)


async def test_a_key_makes_one_account(store: Store) -> None:
    key = factories.unused_key()
    first = await factories.account(store, key)
    again = await factories.account(store, key, LATER)
    other = await factories.account(store)

    assert first == again
    assert first != other


async def test_a_key_that_signs_in_many_times_at_once_makes_one_account(store: Store) -> None:
    key = factories.unused_key()
    ids = await asyncio.gather(*(factories.account(store, key) for _ in range(16)))

    assert 1 == len(set(ids))
    assert await store.read(lambda tx: tx.accounts.existing([ids[0]]))


async def test_accounts_exist_once_they_are_made(store: Store) -> None:
    owner = await factories.account(store)

    assert await store.read(lambda tx: tx.accounts.existing([owner]))
    assert not await store.read(lambda tx: tx.accounts.existing([NOBODY]))


async def test_a_new_account_has_an_empty_profile(store: Store) -> None:
    owner = await factories.account(store)

    assert Account(owner, None, None, None, None, None) == await store.read(lambda tx: tx.accounts.get(owner))
    assert None is await store.read(lambda tx: tx.accounts.get(NOBODY))
    assert [] == await store.read(lambda tx: tx.accounts.connected_services(owner))


async def test_settings_begin_empty_with_version_0(store: Store) -> None:
    owner = await factories.account(store)

    assert Settings(None, 0) == await store.read(lambda tx: tx.accounts.settings(owner))
    assert None is await store.read(lambda tx: tx.accounts.settings(NOBODY))


async def swap(store: Store, owner: AccountId, expected: int, value: str | None) -> Swap[str | None]:
    return await store.write(lambda tx: tx.accounts.swap_settings(owner, expected, value, LATER))


async def test_settings_are_replaced_when_the_version_matches(store: Store) -> None:
    owner = await factories.account(store)
    first = await swap(store, owner, 0, "one")
    empty = await swap(store, owner, 1, "")
    none = await swap(store, owner, 2, None)

    assert [Versioned("one", 1), Versioned("", 2), Versioned(None, 3)] == [
        outcome.current for outcome in (first, empty, none)
    ]
    assert Settings(None, 3) == await store.read(lambda tx: tx.accounts.settings(owner))


@pytest.mark.parametrize("expected", [-1, 0, 2, 2**31 - 1])
async def test_settings_of_another_version_stay_and_are_returned(store: Store, expected: int) -> None:
    owner = await factories.account(store)
    await swap(store, owner, 0, "stored")

    assert Swap(won=False, current=Versioned("stored", 1)) == await swap(store, owner, expected, "late")
    assert Settings("stored", 1) == await store.read(lambda tx: tx.accounts.settings(owner))


async def test_settings_of_nobody_cannot_be_replaced(store: Store) -> None:
    with pytest.raises(NotFound):
        await swap(store, NOBODY, 0, "value")


async def test_of_many_writers_that_expect_one_version_one_wins(store: Store) -> None:
    owner = await factories.account(store)
    outcomes = await asyncio.gather(*(swap(store, owner, 0, str(number)) for number in range(16)))
    (won,) = [outcome.current for outcome in outcomes if outcome.won]

    assert {won.value} == {outcome.current.value for outcome in outcomes}


async def test_update_numbers_are_taken_in_blocks(store: Store) -> None:
    owner = await factories.account(store)

    async def take(count: int) -> int:
        return await store.write(lambda tx: tx.accounts.next_seq(owner, count, LATER))

    ends = [await take(1), await take(3), await take(1)]

    assert [1, 4, 5] == ends


async def test_update_numbers_of_nobody_do_not_exist(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.write(lambda tx: tx.accounts.next_seq(NOBODY, 1, NOW))


async def add_token(store: Store, owner: AccountId, token: str, now: Millis) -> None:
    token_id = new_id(now)
    await store.write(lambda tx: tx.accounts.add_push_token(owner, token_id, token, now))


async def test_push_tokens_are_listed_the_newest_first(store: Store) -> None:
    owner = await factories.account(store)
    for step, token in enumerate(["old", "middle", "new"]):
        await add_token(store, owner, token, Millis(NOW + step))
    await add_token(store, await factories.account(store), "of somebody else", NOW)
    tokens = await store.read(lambda tx: tx.accounts.push_tokens(owner))

    assert ["new", "middle", "old"] == [stored.token for stored in tokens]
    assert [NOW + 2, NOW + 1, NOW] == [stored.created_at for stored in tokens]


async def test_registering_a_push_token_again_only_moves_its_update_time(store: Store) -> None:
    owner = await factories.account(store)
    await add_token(store, owner, "token", NOW)
    (before,) = await store.read(lambda tx: tx.accounts.push_tokens(owner))
    await add_token(store, owner, "token", LATER)
    (after,) = await store.read(lambda tx: tx.accounts.push_tokens(owner))

    assert msgspec.structs.replace(before, updated_at=LATER) == after


async def test_one_push_token_may_belong_to_two_accounts(store: Store) -> None:
    one, other = await factories.account(store), await factories.account(store)
    await add_token(store, one, "token", NOW)
    await add_token(store, other, "token", NOW)
    await store.write(lambda tx: tx.accounts.drop_push_token(one, "token"))

    assert [] == await store.read(lambda tx: tx.accounts.push_tokens(one))
    assert ["token"] == [kept.token for kept in await store.read(lambda tx: tx.accounts.push_tokens(other))]


async def test_dropping_an_unknown_push_token_is_fine(store: Store) -> None:
    owner = await factories.account(store)
    await store.write(lambda tx: tx.accounts.drop_push_token(owner, "unknown"))


async def test_nobody_has_push_tokens(store: Store) -> None:
    with pytest.raises(NotFound):
        await add_token(store, NOBODY, "token", NOW)
