"""Profile, settings and push tokens of an account (protocol: http#account-and-usage, http#push)."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from happy.domain.errors import NotFound
from happy.domain.events import TO_USER
from happy.domain.values import AccountId
from happy.services.accounts import AccountService
from tests.support.factories import NOBODY
from tests.unit.services.world import World


@pytest.fixture
def accounts(world: World) -> AccountService:
    return AccountService(world.store, world.unit_of_work, world.files, world.clock)


async def test_a_new_profile_is_empty(accounts: AccountService, world: World, owner: AccountId) -> None:
    profile = msgspec.to_builtins(await accounts.profile(owner))

    assert {
        "id": owner,
        "timestamp": world.clock.now,
        "firstName": None,
        "lastName": None,
        "username": None,
        "avatar": None,
        "github": None,
        "connectedServices": [],
    } == profile


AVATAR = {"path": "public/a.png", "width": 2, "height": 3, "thumbhash": "t", "more": 1}
SHOWN = {
    "path": "public/a.png",
    "url": "https://files.example/public/a.png",
    "width": 2,
    "height": 3,
    "thumbhash": "t",
}


@pytest.mark.parametrize(("stored", "shown"), [(AVATAR, SHOWN), (None, None), ({"path": "no size"}, None)])
async def test_a_profile_shows_what_is_stored(
    accounts: AccountService, tmp_path: Path, owner: AccountId, stored: Any, shown: Any
) -> None:
    with closing(sqlite3.connect(tmp_path / "happy.sqlite")) as db, db:
        columns = 'id, profile, "createdAt", "updatedAt"'
        db.execute(f"""INSERT INTO "GithubUser" ({columns}) VALUES ('7', '{{"login":"me"}}', 1, 1)""")
        db.execute(
            """UPDATE "Account" SET "firstName" = 'F', username = 'me', avatar = ?, "githubUserId" = '7'""",
            [msgspec.json.encode(stored).decode()],
        )
        db.executemany(
            """INSERT INTO "ServiceAccountToken" (id, "accountId", vendor, token, "createdAt", "updatedAt")
            VALUES (?, ?, ?, x'00', ?, 1)""",
            [("1", owner, "late", 2), ("2", owner, "early", 1)],
        )
    profile = msgspec.json.decode(msgspec.json.encode(await accounts.profile(owner)))

    assert ("F", None, "me", shown, {"login": "me", "name": "me"}, ["early", "late"]) == tuple(
        profile[name]
        for name in ("firstName", "lastName", "username", "avatar", "github", "connectedServices")
    )


async def test_an_unknown_account_has_no_profile_and_no_settings(accounts: AccountService) -> None:
    for use in (
        accounts.profile(NOBODY),
        accounts.settings(NOBODY),
        accounts.update_settings(NOBODY, 0, "v"),
    ):
        with pytest.raises(NotFound):
            await use


async def test_new_settings_are_announced_to_the_user(
    accounts: AccountService, world: World, owner: AccountId
) -> None:
    outcomes = [await accounts.update_settings(owner, version, "value") for version in (0, 0, 1)]
    published = world.sink.take()

    assert [True, False, True] == [outcome.won for outcome in outcomes]
    assert [1, 1, 2] == [outcome.current.version for outcome in outcomes]
    assert [(TO_USER, 1), (TO_USER, 2)] == [(event.audience, event.wire["seq"]) for event in published]
    assert {
        "t": "update-account",
        "id": owner,
        "settings": {"value": "value", "version": 1},
    } == published[0].wire["body"]
    stored = await accounts.settings(owner)
    assert ("value", 2) == (stored.value, stored.version)


async def test_c21_empty_settings_were_null_for_the_loser_of_a_race(
    accounts: AccountService, owner: AccountId
) -> None:
    await accounts.update_settings(owner, 0, "")
    lost = await accounts.update_settings(owner, 0, "late")

    assert ("", 1) == (lost.current.value, lost.current.version)


async def test_push_tokens_are_added_and_dropped(
    accounts: AccountService, world: World, owner: AccountId
) -> None:
    for token in ("one", "two", "one"):
        await accounts.add_push_token(owner, token)
        world.clock.advance(seconds=1)
    await accounts.drop_push_token(owner, "unknown")
    both = await accounts.push_tokens(owner)
    await accounts.drop_push_token(owner, "two")

    assert ["two", "one"] == [token.token for token in both]
    assert ["one"] == [token.token for token in await accounts.push_tokens(owner)]
