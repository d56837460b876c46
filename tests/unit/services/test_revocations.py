"""Revocations in memory: what is refused, what is told, and what holds while the database is away."""

import logging
from collections.abc import Callable
from typing import Any

import pytest

from happy.crypto import Claims
from happy.domain.errors import Conflict, NotFound, Unavailable
from happy.domain.revocations import MAX_REVOKED_TOKENS, Refused, Revocation, TokenUse
from happy.domain.values import AccountId, Millis
from happy.services.account_access import AccountAccess
from happy.services.revocations import DELETED_LIFETIME, Revocations
from happy.services.token_uses import MAX_USES, TokenUses
from tests.support.factories import NOW
from tests.unit.services.world import World

SECOND = NOW // 1000


def token(owner: AccountId, issued_at: float | None = SECOND - 10, token_id: str = "t") -> Claims:
    return Claims(owner, {}, token_id=token_id, issued_at=issued_at)


def use(owner: AccountId, token_id: str, issued_at: Millis | None = None) -> TokenUse:
    return TokenUse(token_id, owner, issued_at, "", "192.0.2.1", NOW, NOW)


@pytest.fixture
def access(world: World) -> AccountAccess:
    return AccountAccess(world.store, world.clock)


@pytest.fixture
def revocations(world: World) -> Revocations:
    return Revocations(world.store, world.clock)


async def test_a_sign_out_is_about_tokens_up_to_its_second(
    access: AccountAccess, revocations: Revocations, owner: AccountId
) -> None:
    assert revocations.refusal(token(owner, None)) is None
    row = await access.sign_out(owner)
    await revocations.load()

    refused = [revocations.refusal(token(owner, at)) for at in (None, 0, SECOND - 1, SECOND, SECOND + 0.5)]
    assert [Refused.SIGNED_OUT] * 5 == refused
    assert revocations.refusal(token(owner, row.tokens_begin / 1000)) is None
    assert revocations.refusal(token(AccountId("another"), 0)) is None


async def test_a_second_sign_out_within_a_second_covers_what_was_issued_between(
    access: AccountAccess, revocations: Revocations, owner: AccountId
) -> None:
    between = (await access.sign_out(owner)).tokens_begin
    after = (await access.sign_out(owner)).tokens_begin
    await revocations.load()

    assert Refused.SIGNED_OUT == revocations.refusal(token(owner, between / 1000))
    assert revocations.refusal(token(owner, after / 1000)) is None


async def test_a_sign_out_revokes_known_tokens_from_the_future(
    world: World, access: AccountAccess, revocations: Revocations, owner: AccountId
) -> None:
    later = Millis(NOW + 86_400_000)
    await world.store.write(
        lambda tx: tx.token_uses.save([use(owner, "ahead", later), use(owner, "old", NOW)])
    )
    await access.sign_out(owner)
    await revocations.load()

    ahead = token(owner, later / 1000, "ahead")
    assert Refused.REVOKED == revocations.refusal(ahead)
    assert ["signed out", "revoked"] == sorted(
        (state for _, state in await access.tokens(owner)), reverse=True
    )


async def test_a_disabled_account_is_refused_until_it_is_enabled(
    access: AccountAccess, revocations: Revocations, owner: AccountId
) -> None:
    changed: list[AccountId] = []
    revocations.listen(changed.append)
    await access.disable(owner)
    await revocations.load()
    assert Refused.DISABLED == revocations.refusal(token(owner))
    with pytest.raises(Conflict):
        await access.disable(owner)

    await access.enable(owner)
    await revocations.load()
    assert revocations.refusal(token(owner)) is None
    assert [owner, owner] == changed
    with pytest.raises(Conflict):
        await access.enable(owner)


async def test_a_deleted_account_stays_refused_and_is_forgotten_long_after(
    world: World, access: AccountAccess, revocations: Revocations, owner: AccountId
) -> None:
    await access.delete(owner)
    await revocations.load()
    assert Refused.DELETED == revocations.refusal(token(owner))
    for act in (access.delete, access.disable, access.sign_out):
        with pytest.raises(NotFound):
            await act(owner)

    await world.deletions.sweep()
    await revocations.sweep()
    assert Refused.DELETED == revocations.refusal(token(owner))
    world.clock.advance(minutes=DELETED_LIFETIME / 60_000 + 1)
    await revocations.sweep()
    assert revocations.refusal(token(owner)) is None
    assert [] == await world.store.read(lambda tx: tx.revocations.after(0, 10))


async def test_a_token_expires_by_its_issue_time_if_that_is_set(world: World, owner: AccountId) -> None:
    limited, day = Revocations(world.store, world.clock, token_days=30), 86_400
    ages = [29 * day, 30 * day, 31 * day]
    assert [None, Refused.EXPIRED, Refused.EXPIRED] == [
        limited.refusal(token(owner, SECOND - age)) for age in ages
    ]
    assert Refused.EXPIRED == limited.refusal(token(owner, None))


async def test_only_so_many_tokens_are_revoked_one_by_one(
    world: World, access: AccountAccess, owner: AccountId
) -> None:
    async def fill(tx: Any) -> None:
        revision = await tx.revocations.lock(NOW)
        for number in range(MAX_REVOKED_TOKENS):
            await tx.revocations.save(Revocation(owner, f"t{number}", changed_at=NOW, revision=revision))

    await world.store.write(fill)
    with pytest.raises(Conflict, match="sign it out instead"):
        await access.revoke(use(owner, "one more"))


class Away:
    """A store that does not answer while `error` is set."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.error: Exception | None = None

    async def read(self, body: Callable[[Any], Any]) -> Any:
        if self.error is not None:
            raise self.error
        return await self._world.store.read(body)


async def test_known_revocations_hold_while_the_database_is_away(
    world: World, access: AccountAccess, owner: AccountId, caplog: pytest.LogCaptureFixture
) -> None:
    store: Any = Away(world)
    revocations = Revocations(store, world.clock)
    await access.disable(owner)
    await revocations.load()
    store.error = Unavailable("away")
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            await revocations.poll()
        assert Refused.DISABLED == revocations.refusal(token(owner))
        store.error = None
        await access.enable(owner)
        await revocations.poll()
    assert revocations.refusal(token(owner)) is None
    assert 2 == len(caplog.records)


async def test_a_use_is_written_once_in_ten_minutes_and_a_name_wins(world: World, owner: AccountId) -> None:
    uses = TokenUses(world.store, world.clock)
    mine = token(owner)
    assert uses.is_due(mine, named=False)
    uses.note(mine, "", "axios/1.7", "192.0.2.1")
    assert [False, True] == [uses.is_due(mine, named=named) for named in (False, True)]
    await uses.flush()
    uses.note(mine, "cli-daemon/1.0", "axios/1.7", "192.0.2.2")
    assert [False, False] == [uses.is_due(mine, named=named) for named in (False, True)]
    await uses.flush()
    uses.note(mine, "", "axios/1.7", "192.0.2.3")
    await uses.flush()

    (seen,) = await world.store.read(lambda tx: tx.token_uses.of_account(owner, 10))
    assert ("t", "cli-daemon/1.0", "192.0.2.3") == (seen.id, seen.device, seen.address)
    assert seen == await world.store.read(lambda tx: tx.token_uses.find("t"))


async def test_uses_are_bounded_and_those_of_nobody_are_left_out(world: World, owner: AccountId) -> None:
    uses = TokenUses(world.store, world.clock)
    for number in range(MAX_USES + 5):
        uses.note(token(owner, token_id=f"t{number}"), "", "", "")
        world.clock.advance(seconds=1)
    uses.note(token(AccountId("gone")), "", "", "")
    await uses.flush()

    kept = await world.store.read(lambda tx: tx.token_uses.of_account(owner, 1_000))
    assert (MAX_USES, f"t{MAX_USES + 4}") == (len(kept), kept[0].id)
    assert None is await world.store.read(lambda tx: tx.token_uses.find("t"))
