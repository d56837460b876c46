"""Values sealed with a master secret that was replaced, on every database."""

import logging

import msgspec
import pytest

from happy.crypto import Keyring
from happy.domain.ids import new_id
from happy.domain.ports.store import Store, Transaction
from happy.domain.sealed import SealedCount, github_token_path, vendor_token_path
from happy.domain.values import AccountId, Millis
from happy.services.resealing import Resealed, Resealing, SealedState
from tests.support import factories
from tests.support.factories import NOW

PROFILE = msgspec.Raw(b'{"id": 7, "login": "ada"}')


@pytest.fixture(scope="module")
def old() -> Keyring:
    return Keyring("the secret before")


@pytest.fixture(scope="module")
def both() -> Keyring:
    return Keyring("the secret of now", ["the secret before"])


@pytest.fixture(scope="module")
def new() -> Keyring:
    return Keyring("the secret of now")


def resealing(store: Store, keys: Keyring) -> Resealing:
    return Resealing(store, keys, lambda: NOW)


async def save(store: Store, owner: AccountId, keys: Keyring, text: str, *, marked: bool = True) -> None:
    sealed = keys.at_rest.seal(vendor_token_path(owner, "openai"), text)
    key_id = sealed.key_id if marked else None
    await store.write(
        lambda tx: tx.vendor_tokens.save(owner, new_id(NOW), "openai", sealed.blob, key_id, NOW)  # type: ignore[arg-type]
    )


async def text(store: Store, owner: AccountId, keys: Keyring) -> str:
    blob = await store.read(lambda tx: tx.vendor_tokens.get(owner, "openai"))
    assert blob is not None
    return keys.at_rest.unseal(vendor_token_path(owner, "openai"), blob)


async def link(store: Store, owner: AccountId, keys: Keyring) -> None:
    sealed = keys.at_rest.seal(github_token_path(owner), "gho")

    async def save_user(tx: Transaction) -> None:
        await tx.github.save_user("7", PROFILE, sealed.blob, sealed.key_id, NOW)
        (holder,) = await tx.github.holders(owner, "7", "ada")
        await tx.github.link(
            msgspec.structs.replace(holder, github_id="7", username="ada"), None, None, None, NOW
        )

    await store.write(save_user)


async def test_all_kinds_are_sealed_with_the_new_secret(
    store: Store, old: Keyring, both: Keyring, new: Keyring
) -> None:
    owners = [await factories.account(store) for _ in range(70)]
    for owner in owners:
        await save(store, owner, old, f"of {owner}", marked=owner != owners[0])
    await link(store, owners[0], old)
    work = resealing(store, both)

    assert [
        SealedState("vendor token", previous=69, unmarked=1),
        SealedState("GitHub token", previous=1),
    ] == await work.state()
    assert [Resealed("vendor token", 70, 0), Resealed("GitHub token", 1, 0)] == await work.run()
    assert [
        SealedState("vendor token", current=70),
        SealedState("GitHub token", current=1),
    ] == await work.state()
    assert [f"of {owner}" for owner in owners] == [await text(store, owner, new) for owner in owners]
    (entry,) = await store.read(lambda tx: tx.audit.since(Millis(0), 10))
    assert ("secret.rotate", new.at_rest.key_id, "70 vendor tokens, 1 GitHub token") == (
        entry.action,
        entry.subject,
        entry.detail,
    )
    assert [Resealed("vendor token", 0, 0), Resealed("GitHub token", 0, 0)] == await work.run()


async def test_a_value_that_does_not_say_is_only_marked_when_it_is_sealed_with_the_new_secret(
    store: Store, both: Keyring, new: Keyring
) -> None:
    owner = await factories.account(store)
    await save(store, owner, new, "mine", marked=False)
    before = await store.read(lambda tx: tx.vendor_tokens.get(owner, "openai"))
    await resealing(store, both).run()

    assert before == await store.read(lambda tx: tx.vendor_tokens.get(owner, "openai"))
    assert [SealedCount(new.at_rest.key_id, 1)] == await store.read(
        lambda tx: tx.sealed.counts("vendor token")
    )


async def test_a_value_that_was_changed_meanwhile_is_left_alone(
    store: Store, old: Keyring, both: Keyring, new: Keyring
) -> None:
    owner = await factories.account(store)
    await save(store, owner, old, "before")
    (found,) = await store.read(lambda tx: tx.sealed.page("vendor token", "", new.at_rest.key_id, 10))
    await save(store, owner, both, "by a server")

    assert not await store.write(
        lambda tx: tx.sealed.replace("vendor token", found, b"stale", new.at_rest.key_id)
    )
    assert "by a server" == await text(store, owner, new)


async def test_what_no_secret_opens_is_counted_left_and_named(
    store: Store, old: Keyring, new: Keyring, caplog: pytest.LogCaptureFixture
) -> None:
    owner = await factories.account(store)
    await save(store, owner, old, "of the secret before")
    work = resealing(store, new)
    await work.warn()

    assert Resealed("vendor token", 0, 1) == (await work.run())[0]
    assert SealedState("vendor token", unknown=1) == (await work.state())[0]
    assert "of the secret before" == await text(store, owner, old)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "a master secret that is not named here, and cannot be read: 1 vendor token." in warning


async def test_a_github_user_that_is_linked_to_nobody_is_left_alone(
    store: Store, old: Keyring, both: Keyring
) -> None:
    await store.write(lambda tx: tx.github.save_user("7", PROFILE, b"sealed", old.at_rest.key_id, NOW))

    assert Resealed("GitHub token", 0, 1) == (await resealing(store, both).run())[1]
