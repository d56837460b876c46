"""What deciding about accounts costs, and what of it is kept (protocol: http#registration)."""

from typing import Any

import pytest

from happy.adapters.light.sqlite import SqliteExecutor
from happy.domain.errors import Forbidden
from happy.domain.registration import MAX_WAITING, RegistrationMode
from happy.metrics import Counter
from happy.services.approvals import Approvals
from happy.services.invites import InviteService, create_invite
from happy.services.registration import Registration
from tests.support import factories
from tests.unit.services.world import World

DAY_MINUTES = 24 * 60


class Counted:
    """The names of the statements that were run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        run = SqliteExecutor.all

        async def counting(executor: SqliteExecutor, statement: Any, **values: Any) -> Any:
            self.names.append(statement.name)
            return await run(executor, statement, **values)

        monkeypatch.setattr(SqliteExecutor, "all", counting)


def registration(world: World, mode: RegistrationMode, *keys: str) -> Registration:
    return Registration(world.store, mode, keys, world.clock, Counter("refusals", "reason"))


@pytest.mark.parametrize("mode", ["first", "approve", "invite", "closed"])
async def test_an_existing_account_signs_in_with_one_statement(
    world: World, mode: RegistrationMode, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = factories.unused_key()
    account = await registration(world, "open").account_of(key, "")
    statements = Counted(monkeypatch)

    assert account == await registration(world, mode).account_of(key, "")
    assert ["accounts.TOUCH"] == statements.names


async def test_a_refused_key_that_tries_again_within_a_minute_is_not_written_again(world: World) -> None:
    key, service = factories.unused_key(), registration(world, "approve")
    for _ in range(3):
        await refused(service, key)
        world.clock.advance(seconds=25)
    (request,) = await Approvals(world.store, world.clock).all()
    assert request.created_at == request.updated_at
    await refused(service, key)
    (request,) = await Approvals(world.store, world.clock).all()

    assert request.created_at + 75_000 == request.updated_at


async def refused(service: Registration, key: str, address: str = "203.0.113.7") -> None:
    with pytest.raises(Forbidden):
        await service.account_of(key, address)


async def test_so_many_requests_are_kept_from_all_addresses(world: World) -> None:
    service = registration(world, "approve")
    keys = [factories.unused_key() for _ in range(MAX_WAITING + 2)]
    for number, key in enumerate(keys):
        await refused(service, key, f"address {number}")
        world.clock.advance(seconds=1)
    kept = await Approvals(world.store, world.clock).all()

    assert keys[2:] == [request.public_key for request in reversed(kept)]


async def test_a_client_without_an_address_is_approved_by_its_key_alone(world: World) -> None:
    service, key = registration(world, "approve"), factories.unused_key()
    await refused(service, key, "")
    await Approvals(world.store, world.clock).decide(key[:8], "approved")
    await refused(service, factories.unused_key(), "")

    assert await service.account_of(key, "")


async def test_an_unknown_address_opens_nothing(world: World) -> None:
    invites = InviteService(world.store, world.clock, accepted=True)
    made = await world.store.write(lambda tx: create_invite(tx, 1, 1, world.clock()))
    await invites.open(made.code, "")

    await refused(registration(world, "invite"), factories.unused_key(), "")


async def test_what_has_expired_is_swept(world: World) -> None:
    service = registration(world, "approve")
    made = await world.store.write(lambda tx: create_invite(tx, 1, 1, world.clock()))
    await InviteService(world.store, world.clock, accepted=True).open(made.code, "one")
    await refused(service, factories.unused_key())
    for status in ("approved", "refused"):
        await Approvals(world.store, world.clock).decide(factories.unused_key(), status)
    sizes = []
    for days in (0, 1, 8):
        world.clock.advance(minutes=days * DAY_MINUTES + 1)
        await service.sweep()
        requests = await world.store.read(lambda tx: tx.registrations.all())
        invites = await world.store.read(lambda tx: tx.invites.all())
        sizes.append((len(requests), len(invites)))

    assert [(3, 1), (1, 1), (0, 0)] == sizes


async def test_refusals_are_counted_by_reason(world: World) -> None:
    refusals = Counter("refusals", "reason")
    service = Registration(world.store, "closed", (), world.clock, refusals)
    account = await registration(world, "open").account_of(factories.unused_key(), "")
    await refused(service, factories.unused_key())

    assert account
    assert {("closed",): 1.0} == refusals.values
