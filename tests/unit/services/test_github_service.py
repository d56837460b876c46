"""Linking when time passes, transactions fail, and nothing outside is real."""

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from happy.crypto import Keyring
from happy.domain.errors import Conflict, Invalid, Unauthenticated, Unavailable
from happy.domain.github import GithubApp, GithubUser
from happy.domain.ports.outbound import FetchedAvatar
from happy.domain.values import AccountId
from happy.services.avatars import AvatarService
from happy.services.github import GithubService, GithubStates, GithubWebhook, LinkFailed
from happy.services.revocations import Revocations
from tests.support import factories
from tests.unit.services.world import Files, World

KEYS = Keyring("secret of tests")
APP = GithubApp("id", "s3cret", "https://h.example/cb", "hook", "https://app.example")


class Github:
    def __init__(self) -> None:
        self.profile: dict[str, Any] = {"id": 1, "login": "ada", "name": "Ada"}

    def authorize_url(self, state: str) -> str:
        return state

    async def exchange(self, code: str) -> str:
        return f"token of {code}"

    async def user(self, access_token: str) -> GithubUser:
        profile = msgspec.json.encode(self.profile)
        return GithubUser(
            str(self.profile["id"]), self.profile["login"], "Ada", "https://p/1", msgspec.Raw(profile)
        )


class Pictures:
    async def fetch(self, url: str) -> FetchedAvatar:
        return FetchedAvatar(b"content", "png", 4, 2, "hash")


class KeptFiles(Files):
    """A file store that remembers what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, bytes] = {}

    async def put(self, key: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        self.kept[key] = b"".join([chunk async for chunk in chunks])
        return len(self.kept[key])


class Side:
    """The GitHub services of a world, and what is around them."""

    def __init__(self, world: World, app: GithubApp = APP) -> None:
        self.github = Github()
        self.files = KeptFiles()
        self.states = GithubStates(world.store, KEYS, world.clock, Revocations(world.store, world.clock))
        avatars = AvatarService(world.store, Pictures(), self.files)
        self.service = GithubService(world.unit_of_work, self.github, avatars, self.states, KEYS, app)

    async def link(self, account_id: AccountId) -> str:
        return await self.service.connect("c0de", await self.states.issue(account_id))


@pytest.fixture
def side(world: World) -> Side:
    return Side(world)


async def test_a_state_lasts_five_minutes(world: World, side: Side, owner: AccountId) -> None:
    in_time, too_late = [await side.states.issue(owner) for _ in range(2)]
    world.clock.advance(seconds=299)
    assert owner == await side.states.redeem(in_time)

    world.clock.advance(seconds=1)
    assert None is await side.states.redeem(too_late)


async def test_a_github_state_is_spent_on_every_replica_and_after_a_restart(
    world: World, side: Side, owner: AccountId
) -> None:
    state = await side.states.issue(owner)
    await side.states.redeem(state)

    assert None is await GithubStates(
        world.store, KEYS, world.clock, Revocations(world.store, world.clock)
    ).redeem(state)


@pytest.mark.parametrize("state", ["", ".", "a.b.c", "☃"])
async def test_a_state_with_an_invalid_signature_is_refused(side: Side, state: str) -> None:
    assert None is await side.states.redeem(state)


async def test_a_state_of_another_secret_is_refused(world: World, side: Side, owner: AccountId) -> None:
    foreign = GithubStates(
        world.store, Keyring("another"), world.clock, Revocations(world.store, world.clock)
    )

    assert None is await side.states.redeem(await foreign.issue(owner))


@pytest.mark.parametrize(
    ("app", "configured"),
    [
        (APP, True),
        (GithubApp(client_id="id", redirect_url="r"), True),
        (GithubApp(client_id="id"), False),
        (GithubApp(redirect_url="r"), False),
        (GithubApp(), False),
    ],
)
async def test_a_sign_in_page_needs_a_client_and_a_way_back(
    world: World, owner: AccountId, app: GithubApp, *, configured: bool
) -> None:
    service = Side(world, app).service
    if configured:
        assert await service.authorize_url(owner)
        return
    with pytest.raises(Invalid, match=r"^GitHub OAuth not configured$"):
        await service.authorize_url(owner)


@pytest.mark.parametrize("app", [GithubApp(client_id="id"), GithubApp(client_secret="s")])
async def test_without_credentials_the_error_names_the_configuration(
    world: World, owner: AccountId, app: GithubApp
) -> None:
    side = Side(world, app)
    with pytest.raises(LinkFailed, match=r"^invalid_state$"):
        await side.service.connect("c0de", "nonsense")
    with pytest.raises(LinkFailed, match=r"^server_config$"):
        await side.link(owner)


async def test_the_account_must_still_be_there(side: Side) -> None:
    with pytest.raises(LinkFailed, match=r"^server_error$"):
        await side.link(AccountId("nobody"))


@pytest.mark.parametrize("error", [Unavailable(), Conflict(), ZeroDivisionError()])
async def test_the_file_of_a_picture_that_was_not_stored_is_removed(
    world: World, side: Side, owner: AccountId, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(world.unit_of_work, "run", fail)
    with pytest.raises(LinkFailed, match=r"^server_error$"):
        await side.link(owner)

    assert list(side.files.kept) == side.files.deleted


async def test_a_picture_that_cannot_be_removed_is_left_behind(
    world: World, side: Side, monkeypatch: pytest.MonkeyPatch
) -> None:
    side.files.broken = True

    with pytest.raises(LinkFailed, match=r"^server_error$"):
        await side.link(AccountId("nobody"))


async def test_a_picture_in_use_is_never_removed(world: World, side: Side, owner: AccountId) -> None:
    await side.link(owner)
    with pytest.raises(LinkFailed):
        await side.link(AccountId("nobody"))

    assert [] == side.files.deleted


async def test_taking_over_announces_both_accounts_in_one_transaction(
    world: World, side: Side, owner: AccountId
) -> None:
    other = await factories.account(world.store)
    await side.link(owner)
    world.sink.take()
    await side.link(other)
    published = world.sink.take()

    assert {owner, other} == {each.account_id for each in published}
    (lost,) = [each.wire["body"] for each in published if each.account_id == owner]
    assert {"t": "update-account", "id": owner, "github": None, "username": None} == lost


async def test_a_webhook_without_a_secret_refuses_every_signature() -> None:
    webhook = GithubWebhook(None)

    assert not webhook.configured
    with pytest.raises(Unauthenticated):
        webhook.receive("push", "sha256=", b"{}")
