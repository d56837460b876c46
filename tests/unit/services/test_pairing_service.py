"""Signing in, and linking devices (protocol: http#sign-in-and-device-linking)."""

import asyncio
import os

import pytest
from nacl.signing import SigningKey

from happy import crypto
from happy.crypto import Tokens
from happy.domain.accounts import PairingKind
from happy.domain.errors import Conflict, Invalid, NotFound, Unauthenticated
from happy.domain.values import AccountId
from happy.metrics import Counter, Metrics
from happy.services.identity import IdentityService, build_identity
from happy.services.pairing import LinkingStatus, PairingService
from happy.services.registration import Registration
from happy.services.replays import Replays
from tests.support import factories
from tests.unit.services.world import World

KINDS = pytest.mark.parametrize("kind", ["terminal", "account"])


@pytest.fixture(scope="module")
def tokens() -> Tokens:
    return crypto.derive("a secret of this test").tokens


@pytest.fixture
def pairing(world: World, tokens: Tokens) -> PairingService:
    registration = Registration(world.store, "open", (), world.clock, Counter("refusals", "reason"))
    replays = Replays(world.clock, None, Counter("replays"))
    return PairingService(world.store, tokens, world.clock, registration, replays)


@pytest.fixture
def identity(world: World, tokens: Tokens) -> IdentityService:
    return build_identity(world.store, tokens, world.clock, Metrics())


async def account_of(identity: IdentityService, token: str) -> str:
    return (await identity.identify(token)).account_id


# -- signing in --------------------------------------------------------------------------------------------


async def sign_in(pairing: PairingService, key: SigningKey, challenge: bytes = b"challenge") -> str:
    return await pairing.sign_in(bytes(key.verify_key), challenge, key.sign(challenge).signature)


async def test_a_key_signs_in_to_one_account(pairing: PairingService, identity: IdentityService) -> None:
    key = SigningKey.generate()
    tokens = [await sign_in(pairing, key), await sign_in(pairing, key, b"")]
    accounts = [await account_of(identity, token) for token in tokens]

    assert accounts[0] == accounts[1]
    assert accounts[0] != await account_of(identity, await sign_in(pairing, SigningKey.generate()))


async def test_many_first_sign_ins_at_once_make_one_account(
    pairing: PairingService, identity: IdentityService
) -> None:
    key = SigningKey.generate()
    tokens = await asyncio.gather(*(sign_in(pairing, key) for _ in range(8)))

    assert 1 == len({await account_of(identity, token) for token in tokens})


async def test_a_signature_of_something_else_does_not_sign_in(pairing: PairingService) -> None:
    key = SigningKey.generate()
    with pytest.raises(Unauthenticated):
        await pairing.sign_in(bytes(key.verify_key), b"challenge", key.sign(b"other").signature)


@pytest.mark.parametrize(("key_bytes", "signature_bytes"), [(31, 64), (33, 64), (32, 63), (0, 0)])
async def test_c12_a_key_of_the_wrong_size_was_an_internal_error(
    pairing: PairingService, key_bytes: int, signature_bytes: int
) -> None:
    with pytest.raises(Invalid):
        await pairing.sign_in(bytes(key_bytes), b"challenge", bytes(signature_bytes))


# -- who a token speaks for --------------------------------------------------------------------------------


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "ä", "\0", "x" * 100_000])
async def test_malformed_tokens_are_refused(identity: IdentityService, token: str) -> None:
    with pytest.raises(Unauthenticated):
        await account_of(identity, token)


async def test_b4_a_token_of_a_missing_account_was_accepted(
    identity: IdentityService, tokens: Tokens, world: World
) -> None:
    with pytest.raises(Unauthenticated):
        await account_of(identity, tokens.issue("nobody", world.clock.now))


async def test_an_account_is_looked_up_once(
    identity: IdentityService,
    tokens: Tokens,
    world: World,
    owner: AccountId,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = tokens.issue(owner, world.clock.now)
    await account_of(identity, token)
    monkeypatch.delattr(type(world.store), "read")

    assert owner == await account_of(identity, token)


async def test_a9_the_token_cache_grew_without_limit(
    identity: IdentityService, tokens: Tokens, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.services.identity.KNOWN_ACCOUNTS", 3)
    for _ in range(7):
        await account_of(identity, tokens.issue(await factories.account(world.store), world.clock.now))

    assert len(identity._known) <= 3


# -- linking devices ---------------------------------------------------------------------------------------


@KINDS
async def test_a_device_is_linked_once_somebody_approves(
    pairing: PairingService, identity: IdentityService, owner: AccountId, kind: PairingKind
) -> None:
    key = os.urandom(32)
    before = await pairing.request(kind, key)
    await pairing.answer(kind, owner, key, "for the device")
    linked = [await pairing.request(kind, key) for _ in range(2)]  # an answer may get lost on its way

    assert None is before
    for link in linked:
        assert link is not None
        assert "for the device" == link.response
        assert owner == await account_of(identity, link.token)


async def test_only_a_terminals_token_names_its_request(
    pairing: PairingService, tokens: Tokens, world: World, owner: AccountId
) -> None:
    extras = {}
    for kind in ("terminal", "account"):
        key = os.urandom(32)
        await pairing.request(kind, key)
        await pairing.answer(kind, owner, key, "answer")
        linked = await pairing.request(kind, key)
        assert linked is not None
        claims = tokens.verify(linked.token, world.clock.now)
        assert claims is not None
        extras[kind] = dict(claims.extras)

    assert ["session"] == list(extras["terminal"])
    assert {} == extras["account"]


@KINDS
async def test_b3_an_approval_that_came_too_late_was_answered_with_success(
    pairing: PairingService, world: World, owner: AccountId, kind: PairingKind
) -> None:
    key = os.urandom(32)
    await pairing.request(kind, key)
    await pairing.answer(kind, owner, key, "first")
    await pairing.answer(kind, owner, key, "again")
    with pytest.raises(Conflict):
        await pairing.answer(kind, await factories.account(world.store), key, "late")
    linked = await pairing.request(kind, key)

    assert linked is not None
    assert "first" == linked.response


@KINDS
async def test_an_empty_approval_leaves_the_request_open(
    pairing: PairingService, world: World, owner: AccountId, kind: PairingKind
) -> None:
    key = os.urandom(32)
    await pairing.request(kind, key)
    await pairing.answer(kind, owner, key, "")
    pending = await pairing.request(kind, key)
    await pairing.answer(kind, await factories.account(world.store), key, "answer")

    assert None is pending
    assert None is not await pairing.request(kind, key)


@KINDS
async def test_an_approval_needs_a_request(
    pairing: PairingService, owner: AccountId, kind: PairingKind
) -> None:
    with pytest.raises(NotFound):
        await pairing.answer(kind, owner, os.urandom(32), "answer")


@KINDS
@pytest.mark.parametrize("size", [0, 31, 33])
async def test_a_key_of_the_wrong_size_is_no_key(
    pairing: PairingService, owner: AccountId, kind: PairingKind, size: int
) -> None:
    with pytest.raises(Unauthenticated):
        await pairing.request(kind, bytes(size))
    with pytest.raises(Unauthenticated):
        await pairing.answer(kind, owner, bytes(size), "answer")
    assert LinkingStatus("not_found") == await pairing.status(bytes(size))


@KINDS
async def test_b2_an_approved_request_handed_out_tokens_for_ever(
    pairing: PairingService, world: World, owner: AccountId, kind: PairingKind
) -> None:
    key = os.urandom(32)
    await pairing.request(kind, key)
    world.clock.advance(minutes=14)
    await pairing.answer(kind, owner, key, "answer")
    world.clock.advance(minutes=10)
    in_time = await pairing.request(kind, key)
    world.clock.advance(minutes=5)
    assert None is not await pairing.request(kind, key)
    world.clock.advance(seconds=1)

    assert in_time is not None
    assert None is await pairing.request(kind, key)  # a new request, with nothing left of the old one
    assert None is await pairing.request(kind, key)


@KINDS
async def test_b2_a_request_that_nobody_approved_lived_for_ever(
    pairing: PairingService, world: World, owner: AccountId, kind: PairingKind
) -> None:
    key = os.urandom(32)
    await pairing.request(kind, key)
    world.clock.advance(minutes=15, seconds=1)
    with pytest.raises(NotFound):
        await pairing.answer(kind, owner, key, "too late")
    await pairing.request(kind, key)  # the device still polls
    await pairing.answer(kind, owner, key, "in time")

    assert None is not await pairing.request(kind, key)


async def test_the_status_of_a_terminal_follows_its_request(
    pairing: PairingService, world: World, owner: AccountId
) -> None:
    key = os.urandom(32)
    unknown = await pairing.status(key)
    await pairing.request("terminal", key, supports_v2=True)
    await pairing.request("terminal", key, supports_v2=False)
    pending = await pairing.status(key)
    await pairing.answer("terminal", owner, key, "answer")
    authorized = await pairing.status(key)
    world.clock.advance(minutes=11)

    assert LinkingStatus("not_found") == unknown
    assert LinkingStatus("pending", supports_v2=True) == pending
    assert LinkingStatus("authorized") == authorized
    assert LinkingStatus("not_found") == await pairing.status(key)


async def test_a_terminal_polling_at_once_makes_one_request(
    pairing: PairingService, owner: AccountId
) -> None:
    key = os.urandom(32)
    await asyncio.gather(*(pairing.request("terminal", key) for _ in range(8)))
    await pairing.answer("terminal", owner, key, "answer")

    assert None is not await pairing.request("terminal", key)


async def test_the_sweep_removes_what_expired(
    pairing: PairingService, world: World, owner: AccountId
) -> None:
    forgotten, approved = os.urandom(32), os.urandom(32)
    for key in (forgotten, approved):
        await pairing.request("terminal", key)
    await pairing.answer("terminal", owner, approved, "answer")
    world.clock.advance(minutes=15, seconds=1)
    await pairing.sweep()

    async def is_there(key: bytes) -> bool:
        return None is not await world.store.read(lambda tx: tx.pairings.get("terminal", key.hex().upper()))

    assert [False, True] == [await is_there(forgotten), await is_there(approved)]
    world.clock.advance(minutes=24 * 60)
    await pairing.sweep()
    assert not await is_there(approved)
