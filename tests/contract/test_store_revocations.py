"""Revocations and the uses of tokens, on every database."""

import asyncio

import msgspec
import pytest

from happy.domain.ports.store import Store, Transaction
from happy.domain.revocations import Revocation, TokenUse
from happy.domain.values import AccountId, Millis
from happy.services.account_access import AccountAccess
from tests.contract.flavors import OpenStore
from tests.support import factories
from tests.support.factories import NOBODY, NOW

WRITERS, ROUNDS = 4, 10


async def save(store: Store, row: Revocation) -> Revocation:
    async def save(tx: Transaction) -> Revocation:
        stored = msgspec.structs.replace(row, revision=await tx.revocations.lock(NOW))
        await tx.revocations.save(stored)
        return stored

    return await store.write(save)


async def after(store: Store, revision: int, limit: int = 1_000) -> list[Revocation]:
    return await store.read(lambda tx: tx.revocations.after(revision, limit))


async def test_a_row_is_read_again_after_every_change(store: Store) -> None:
    owner = await factories.account(store)
    account = await save(store, Revocation(owner, disabled_at=NOW, changed_at=NOW))
    token = await save(store, Revocation(owner, "token", changed_at=NOW))
    assert [account, token] == await after(store, 0)
    assert [account] == await after(store, 0, limit=1)
    assert [token] == await after(store, account.revision)

    enabled = await save(store, msgspec.structs.replace(account, disabled_at=None, signed_out_at=NOW))
    assert [enabled] == await after(store, token.revision)
    assert [token, enabled] == await after(store, 0)
    assert enabled == await store.read(lambda tx: tx.revocations.of_account(owner))
    assert None is await store.read(lambda tx: tx.revocations.of_account(NOBODY))
    assert ["token"] == await store.read(lambda tx: tx.revocations.revoked_tokens(owner, 10))


async def test_a_reader_misses_no_change_of_concurrent_writers(open_store: OpenStore) -> None:
    """A revision becomes visible only when all before it are."""
    async with open_store() as store, open_store() as other:
        known, seen = 0, list[int]()

        async def write(number: int) -> None:
            for turn in range(ROUNDS):
                target = store if (number + turn) % 2 else other
                await save(target, Revocation(AccountId(f"a{number}"), f"t{turn}-{number}", changed_at=NOW))

        writing = asyncio.gather(*(write(number) for number in range(WRITERS)))
        while not writing.done() or await after(store, known):
            for row in await after(store, known):
                seen.append(row.revision)
                known = row.revision
        await writing

    assert list(range(1, WRITERS * ROUNDS + 1)) == seen


async def test_a_deleted_account_is_forgotten_once_it_is_gone(store: Store) -> None:
    owner = await factories.account(store)
    await AccountAccess(store, lambda: NOW).delete(owner)
    later = Millis(NOW + 1)
    assert 0 == await store.write(lambda tx: tx.revocations.forget_deleted(later, 10))
    assert await store.write(lambda tx: tx.deletions.finish("account", owner))
    assert 0 == await store.write(lambda tx: tx.revocations.forget_deleted(NOW, 10))
    assert 1 == await store.write(lambda tx: tx.revocations.forget_deleted(later, 10))


async def test_the_key_of_a_deleted_account_makes_a_new_one(store: Store) -> None:
    key = factories.unused_key()
    owner = await factories.account(store, key)
    await AccountAccess(store, lambda: NOW).delete(owner)

    assert owner != await factories.account(store, key)
    (record,) = await store.read(lambda tx: tx.administration.find(owner, ""))
    assert ("deleted", f"deleted:{owner}") == (record.state, record.public_key)


async def test_only_an_account_that_was_deleted_is_removed(store: Store) -> None:
    owner = await factories.account(store)
    await factories.session(store, owner)
    await save(store, Revocation(owner, disabled_at=NOW, changed_at=NOW))
    assert None is await store.write(lambda tx: tx.deletions.claim("account", NOW))
    assert 0 == await store.write(lambda tx: tx.deletions.remove("account", owner, 10))
    assert [owner] == await store.read(lambda tx: tx.accounts.existing([owner]))


@pytest.mark.parametrize(
    ("before", "then", "kept"),
    [
        ("", "(axios/1.7)", "(axios/1.7)"),
        ("(axios/1.7)", "(axios/1.8)", "(axios/1.8)"),
        ("(axios/1.7)", "cli/1.0", "cli/1.0"),
        ("cli/1.0", "(axios/1.7)", "cli/1.0"),
        ("cli/1.0", "cli/1.1", "cli/1.1"),
        ("cli/1.0", "", "cli/1.0"),
    ],
)
async def test_a_use_moves_on_and_a_name_is_kept(store: Store, before: str, then: str, kept: str) -> None:
    owner, later = await factories.account(store), Millis(NOW + 1)
    first = TokenUse("t", owner, NOW, before, "192.0.2.1", NOW, NOW)
    second = TokenUse("t", owner, NOW, then, "2001:db8::1", later, later)
    nobodys = TokenUse("other", NOBODY, None, "", "", NOW, NOW)
    await store.write(lambda tx: tx.token_uses.save([first]))
    await store.write(lambda tx: tx.token_uses.save([second, nobodys]))

    expected = TokenUse("t", owner, NOW, kept, "2001:db8::1", NOW, later)
    assert [expected] == await store.read(lambda tx: tx.token_uses.of_account(owner, 10))
    assert None is await store.read(lambda tx: tx.token_uses.find("other"))
    await store.write(lambda tx: tx.token_uses.trim(owner, 0))
    assert [] == await store.read(lambda tx: tx.token_uses.of_account(owner, 10))
