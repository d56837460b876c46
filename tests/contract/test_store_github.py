"""The repositories of GitHub users, profile pictures and vendor tokens, and push tokens that move."""

import asyncio

import msgspec
import pytest

from happy.domain.accounts import Avatar
from happy.domain.errors import Conflict, NotFound
from happy.domain.github import Holder
from happy.domain.ids import new_id
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, Millis
from happy.domain.vendor_tokens import SealedToken, Vendor
from tests.support import factories
from tests.support.factories import NOBODY, NOW

LATER = Millis(NOW + 1_000)
PROFILE = msgspec.Raw(b'{"id":7,"login":"ada","name":null}')
AVATAR = Avatar("public/users/a/avatars/github_x.png", 40, 20, "hash")


async def link(
    store: Store, owner: AccountId, github_id: str, username: str, avatar: Avatar | None = AVATAR
) -> None:
    async def body(tx: Transaction) -> None:
        await tx.github.save_user(github_id, PROFILE, b"sealed", "key", NOW)
        await tx.github.link(Holder(owner, github_id, username), "Ada", None, avatar, NOW)

    await store.write(body)


async def holders(store: Store, owner: AccountId, github_id: str, username: str) -> list[Holder]:
    return await store.write(lambda tx: tx.github.holders(owner, github_id, username))


async def linked(store: Store, owner: AccountId) -> Holder | None:
    return await store.write(lambda tx: tx.github.linked(owner))


# -- states


async def test_a_state_is_spent_once(store: Store) -> None:
    outcomes = [await store.write(lambda tx: tx.github.spend_state("s", LATER, NOW)) for _ in range(3)]

    assert [True, False, False] == outcomes


async def test_of_many_that_spend_a_state_at_once_one_succeeds(store: Store) -> None:
    outcomes = await asyncio.gather(
        *(store.write(lambda tx: tx.github.spend_state("s", LATER, NOW)) for _ in range(16))
    )

    assert 1 == sum(outcomes)


async def test_an_expired_state_is_forgotten_but_not_a_valid_one(store: Store) -> None:
    await store.write(lambda tx: tx.github.spend_state("old", NOW, NOW))
    await store.write(lambda tx: tx.github.spend_state("new", Millis(LATER + 1), NOW))
    later = Millis(NOW + 1)

    async def spend(name: str) -> bool:
        return await store.write(lambda tx: tx.github.spend_state(name, LATER, later))

    outcomes = [await spend(name) for name in ("old", "new")]

    assert [True, False] == outcomes


# -- links


async def test_a_link_is_part_of_the_profile(store: Store) -> None:
    owner = await factories.account(store)
    await link(store, owner, "7", "ada")
    account = await store.read(lambda tx: tx.accounts.get(owner))

    assert account is not None
    assert ("Ada", None, "ada") == (account.first_name, account.last_name, account.username)
    assert msgspec.json.decode(PROFILE) == msgspec.json.decode(account.github or b"null")
    assert AVATAR == msgspec.json.decode(account.avatar or b"null", type=Avatar)
    assert Holder(owner, "7", "ada") == await linked(store, owner)


async def test_a_link_without_a_picture_leaves_the_old_one(store: Store) -> None:
    owner = await factories.account(store)
    pictures = []
    for avatar in (None, AVATAR, None):
        await link(store, owner, "7", "ada", avatar)
        account = await store.read(lambda tx: tx.accounts.get(owner))
        assert account is not None
        pictures.append(msgspec.json.decode(account.avatar or b"null", type=Avatar | None))

    assert [None, AVATAR, AVATAR] == pictures


async def test_holders_of_the_github_user_or_the_username_are_found(store: Store) -> None:
    accounts = [await factories.account(store) for _ in range(4)]
    await link(store, accounts[1], "7", "another")
    await link(store, accounts[2], "8", "ada")
    await link(store, accounts[3], "9", "nobody")
    found = await holders(store, accounts[0], "7", "ada")

    assert [
        Holder(accounts[0], None, None),
        Holder(accounts[1], "7", "another"),
        Holder(accounts[2], "8", "ada"),
    ] == found
    assert [] == await holders(store, NOBODY, "1", "unknown")
    assert None is await linked(store, NOBODY)


async def test_unlinking_keeps_names_and_picture(store: Store) -> None:
    owner = await factories.account(store)
    await link(store, owner, "7", "ada")
    await store.write(lambda tx: tx.github.unlink(owner, LATER))
    await store.write(lambda tx: tx.github.delete_user("7"))
    account = await store.read(lambda tx: tx.accounts.get(owner))

    assert account is not None
    assert (None, None, "Ada") == (account.username, account.github, account.first_name)
    assert account.avatar is not None
    assert Holder(owner, None, None) == await linked(store, owner)


async def test_a_username_can_be_taken_alone(store: Store) -> None:
    owner = await factories.account(store)
    await link(store, owner, "7", "ada")
    await store.write(lambda tx: tx.github.drop_username(owner, LATER))

    assert Holder(owner, "7", None) == await linked(store, owner)


@pytest.mark.parametrize(("github_id", "username"), [("7", "other"), ("8", "ada")])
async def test_a_user_and_a_name_belong_to_one_account(store: Store, github_id: str, username: str) -> None:
    owner, other = await factories.account(store), await factories.account(store)
    await link(store, owner, "7", "ada")

    with pytest.raises(Conflict):
        await link(store, other, github_id, username)
    assert Holder(other, None, None) == await linked(store, other)


async def test_a_github_user_is_saved_again_in_place(store: Store) -> None:
    owner = await factories.account(store)
    await link(store, owner, "7", "ada")
    renamed = msgspec.Raw(b'{"login":"countess"}')
    await store.write(lambda tx: tx.github.save_user("7", renamed, b"new", "key", LATER))
    account = await store.read(lambda tx: tx.accounts.get(owner))

    assert account is not None
    assert {"login": "countess"} == msgspec.json.decode(account.github or b"null")


# -- pictures


async def test_the_newest_picture_of_anybody_is_reused(store: Store) -> None:
    owner, other = await factories.account(store), await factories.account(store)
    newer = Avatar("public/b.png", 1, 2, "new")
    await store.write(lambda tx: tx.uploads.add(owner, new_id(NOW), AVATAR, "image-url:u", NOW))
    await store.write(lambda tx: tx.uploads.add(other, new_id(LATER), newer, "image-url:u", LATER))

    assert newer == await store.read(lambda tx: tx.uploads.reusable("image-url:u"))
    assert None is await store.read(lambda tx: tx.uploads.reusable("image-url:v"))


async def test_nobody_has_pictures(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.write(lambda tx: tx.uploads.add(NOBODY, new_id(NOW), AVATAR, "k", NOW))


# -- vendor tokens


async def save(store: Store, owner: AccountId, vendor: Vendor, token: bytes, now: Millis = NOW) -> None:
    token_id = new_id(now)
    await store.write(lambda tx: tx.vendor_tokens.save(owner, token_id, vendor, token, "key", now))


async def test_vendor_tokens_are_bytes_by_account_and_vendor(store: Store) -> None:
    owner, other = await factories.account(store), await factories.account(store)
    await save(store, owner, "openai", b"\x00\xff")
    await save(store, owner, "gemini", b"g", LATER)
    await save(store, other, "openai", b"theirs")
    await save(store, owner, "openai", b"\x00new", LATER)

    assert b"\x00new" == await store.read(lambda tx: tx.vendor_tokens.get(owner, "openai"))
    assert None is await store.read(lambda tx: tx.vendor_tokens.get(owner, "anthropic"))
    assert [SealedToken("openai", b"\x00new"), SealedToken("gemini", b"g")] == await store.read(
        lambda tx: tx.vendor_tokens.owned(owner)
    )
    assert ["openai", "gemini"] == await store.read(lambda tx: tx.accounts.connected_services(owner))


async def test_a_vendor_token_is_deleted_and_deleting_again_is_fine(store: Store) -> None:
    owner = await factories.account(store)
    await save(store, owner, "openai", b"t")
    for _ in range(2):
        await store.write(lambda tx: tx.vendor_tokens.delete(owner, "openai"))

    assert [] == await store.read(lambda tx: tx.vendor_tokens.owned(owner))


async def test_nobody_has_vendor_tokens(store: Store) -> None:
    with pytest.raises(NotFound):
        await save(store, NOBODY, "openai", b"t")


# -- push tokens


async def test_a_push_token_is_taken_from_everybody_else(store: Store) -> None:
    async def add(owner: AccountId, token: str) -> None:
        await store.write(lambda tx: tx.accounts.add_push_token(owner, new_id(NOW), token, NOW))

    async def left(owner: AccountId) -> set[str]:
        return {each.token for each in await store.read(lambda tx: tx.accounts.push_tokens(owner))}

    accounts = [await factories.account(store) for _ in range(3)]
    for owner in accounts:
        for token in ("phone", "tablet"):
            await add(owner, token)
    await store.write(lambda tx: tx.accounts.take_push_token(accounts[0], "phone"))

    assert [{"phone", "tablet"}, {"tablet"}, {"tablet"}] == [await left(owner) for owner in accounts]
