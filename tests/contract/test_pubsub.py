"""The event bus, the link between replicas, and presence; the flavor with two replicas runs all cases."""

import secrets

import pytest

from happy.domain.ports.presence import Holder
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from tests.contract.flavors import Replica
from tests.support.until import until

Replicas = tuple[Replica, Replica]
# Others may be running these tests, on the same Redis, at the same time.
ACCOUNT, OTHER = (AccountId(f"{name}-{secrets.token_hex(8)}") for name in ("account", "other"))


def holder(replica: Replica, connection: str) -> Holder:
    return Holder(replica.link.replica_id, ConnectionId(connection))


# -- the bus ---------------------------------------------------------------------------------------------


async def test_an_envelope_is_not_delivered_to_its_publisher(replicas: Replicas) -> None:
    replica, _ = replicas
    await replica.bus.subscribe(ACCOUNT)
    replica.bus.publish(ACCOUNT, b"frame")
    replica.bus.publish(OTHER, b"frame")

    assert [] == replica.envelopes


async def test_an_account_can_be_subscribed_and_unsubscribed_repeatedly(replicas: Replicas) -> None:
    replica, _ = replicas
    for _ in range(3):
        await replica.bus.subscribe(ACCOUNT)
        await replica.bus.subscribe(ACCOUNT)
        replica.bus.unsubscribe(ACCOUNT)
        replica.bus.unsubscribe(ACCOUNT)
    replica.bus.unsubscribe(OTHER)


# -- the link --------------------------------------------------------------------------------------------


async def test_a_replica_is_alive_and_an_unknown_one_is_not(replicas: Replicas) -> None:
    one, other = replicas

    assert await one.link.is_alive(one.link.replica_id)
    assert await one.link.is_alive(other.link.replica_id)
    assert not await one.link.is_alive(ReplicaId("unknown"))


# -- presence --------------------------------------------------------------------------------------------


async def test_a_name_without_claims_has_no_holder(replicas: Replicas) -> None:
    assert [] == list(await replicas[0].presence.holders(ACCOUNT, "name"))


async def test_holders_are_listed_the_newest_first_on_every_replica(replicas: Replicas) -> None:
    one, other = replicas
    first, second, third = holder(one, "1"), holder(other, "2"), holder(one, "3")
    await one.presence.claim(ACCOUNT, "name", first)
    await other.presence.claim(ACCOUNT, "name", second)
    await one.presence.claim(ACCOUNT, "name", third)

    for replica in replicas:
        assert [third, second, first] == list(await replica.presence.holders(ACCOUNT, "name"))


async def test_claiming_again_makes_a_claim_the_newest(replicas: Replicas) -> None:
    replica, _ = replicas
    first, second = holder(replica, "1"), holder(replica, "2")
    for claimed in (first, second, first):
        await replica.presence.claim(ACCOUNT, "name", claimed)

    assert [first, second] == list(await replica.presence.holders(ACCOUNT, "name"))


async def test_a_released_claim_is_gone(replicas: Replicas) -> None:
    replica, _ = replicas
    first, second = holder(replica, "1"), holder(replica, "2")
    await replica.presence.claim(ACCOUNT, "name", first)
    await replica.presence.claim(ACCOUNT, "name", second)
    await replica.presence.release(ACCOUNT, "name", second)

    assert [first] == list(await replica.presence.holders(ACCOUNT, "name"))


async def test_releasing_what_is_not_held_does_nothing(replicas: Replicas) -> None:
    replica, _ = replicas
    await replica.presence.claim(ACCOUNT, "name", holder(replica, "1"))
    await replica.presence.release(ACCOUNT, "name", holder(replica, "2"))
    await replica.presence.release(ACCOUNT, "other name", holder(replica, "1"))
    await replica.presence.release(OTHER, "name", holder(replica, "1"))

    assert [holder(replica, "1")] == list(await replica.presence.holders(ACCOUNT, "name"))


@pytest.mark.parametrize(
    ("account", "name"), [(OTHER, "name"), (ACCOUNT, "other name")], ids=["account", "name"]
)
async def test_claims_are_per_account_and_name(replicas: Replicas, account: AccountId, name: str) -> None:
    replica, _ = replicas
    await replica.presence.claim(ACCOUNT, "name", holder(replica, "1"))

    assert [] == list(await replica.presence.holders(account, name))


async def test_an_answer_does_not_change_afterwards(replicas: Replicas) -> None:
    replica, _ = replicas
    await replica.presence.claim(ACCOUNT, "name", holder(replica, "1"))
    holders = await replica.presence.holders(ACCOUNT, "name")
    await replica.presence.release(ACCOUNT, "name", holder(replica, "1"))

    assert [holder(replica, "1")] == list(holders)


async def test_claims_and_releases_without_waiting_are_soon_seen_by_every_replica(replicas: Replicas) -> None:
    one, other = replicas
    one.presence.claim_soon(ACCOUNT, "soon", holder(one, "1"))
    await until_held(other, "soon", held=True)
    other.presence.claim_soon(ACCOUNT, "soon", holder(other, "2"))
    one.presence.release_soon(ACCOUNT, "soon", holder(one, "1"))
    await until_held(other, "soon", held=True)
    other.presence.release_soon(ACCOUNT, "soon", holder(other, "2"))
    await until_held(one, "soon", held=False)

    assert not await one.presence.is_held(OTHER, "soon")


async def until_held(replica: Replica, name: str, *, held: bool) -> None:
    async def is_as_expected() -> bool:
        return await replica.presence.is_held(ACCOUNT, name) is held

    await until(is_as_expected)
