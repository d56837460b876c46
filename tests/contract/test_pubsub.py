"""The event bus, the link between nodes, and presence. Cross-node cases run where a flavor has two nodes."""

import secrets

import pytest

from happy.domain.ports.presence import Holder
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from tests.contract.flavors import Node
from tests.support.until import until

Nodes = tuple[Node, Node]
# Others may be running these tests, on the same Redis, at the same time.
ACCOUNT, OTHER = (AccountId(f"{name}-{secrets.token_hex(8)}") for name in ("account", "other"))


def holder(node: Node, connection: str) -> Holder:
    return Holder(node.link.replica_id, ConnectionId(connection))


# -- the bus ---------------------------------------------------------------------------------------------


async def test_a_frame_never_comes_back_to_its_publisher(nodes: Nodes) -> None:
    node, _ = nodes
    await node.bus.subscribe(ACCOUNT)
    node.bus.publish(ACCOUNT, b"frame")
    node.bus.publish(OTHER, b"frame")

    assert [] == node.envelopes


async def test_an_account_can_be_watched_and_left_again_and_again(nodes: Nodes) -> None:
    node, _ = nodes
    for _ in range(3):
        await node.bus.subscribe(ACCOUNT)
        await node.bus.subscribe(ACCOUNT)
        node.bus.unsubscribe(ACCOUNT)
        node.bus.unsubscribe(ACCOUNT)
    node.bus.unsubscribe(OTHER)


# -- the link --------------------------------------------------------------------------------------------


async def test_a_node_is_alive_and_an_unknown_one_is_not(nodes: Nodes) -> None:
    one, other = nodes

    assert await one.link.is_alive(one.link.replica_id)
    assert await one.link.is_alive(other.link.replica_id)
    assert not await one.link.is_alive(ReplicaId("unknown"))


# -- presence --------------------------------------------------------------------------------------------


async def test_nobody_holds_what_nobody_claimed(nodes: Nodes) -> None:
    assert [] == list(await nodes[0].presence.holders(ACCOUNT, "name"))


async def test_holders_are_listed_the_newest_first_on_every_node(nodes: Nodes) -> None:
    one, other = nodes
    first, second, third = holder(one, "1"), holder(other, "2"), holder(one, "3")
    await one.presence.claim(ACCOUNT, "name", first)
    await other.presence.claim(ACCOUNT, "name", second)
    await one.presence.claim(ACCOUNT, "name", third)

    for node in nodes:
        assert [third, second, first] == list(await node.presence.holders(ACCOUNT, "name"))


async def test_claiming_again_makes_a_claim_the_newest(nodes: Nodes) -> None:
    node, _ = nodes
    first, second = holder(node, "1"), holder(node, "2")
    for claimed in (first, second, first):
        await node.presence.claim(ACCOUNT, "name", claimed)

    assert [first, second] == list(await node.presence.holders(ACCOUNT, "name"))


async def test_a_released_claim_is_gone(nodes: Nodes) -> None:
    node, _ = nodes
    first, second = holder(node, "1"), holder(node, "2")
    await node.presence.claim(ACCOUNT, "name", first)
    await node.presence.claim(ACCOUNT, "name", second)
    await node.presence.release(ACCOUNT, "name", second)

    assert [first] == list(await node.presence.holders(ACCOUNT, "name"))


async def test_releasing_what_is_not_held_does_nothing(nodes: Nodes) -> None:
    node, _ = nodes
    await node.presence.claim(ACCOUNT, "name", holder(node, "1"))
    await node.presence.release(ACCOUNT, "name", holder(node, "2"))
    await node.presence.release(ACCOUNT, "other name", holder(node, "1"))
    await node.presence.release(OTHER, "name", holder(node, "1"))

    assert [holder(node, "1")] == list(await node.presence.holders(ACCOUNT, "name"))


@pytest.mark.parametrize(
    ("account", "name"), [(OTHER, "name"), (ACCOUNT, "other name")], ids=["account", "name"]
)
async def test_claims_are_per_account_and_name(nodes: Nodes, account: AccountId, name: str) -> None:
    node, _ = nodes
    await node.presence.claim(ACCOUNT, "name", holder(node, "1"))

    assert [] == list(await node.presence.holders(account, name))


async def test_an_answer_does_not_change_afterwards(nodes: Nodes) -> None:
    node, _ = nodes
    await node.presence.claim(ACCOUNT, "name", holder(node, "1"))
    holders = await node.presence.holders(ACCOUNT, "name")
    await node.presence.release(ACCOUNT, "name", holder(node, "1"))

    assert [holder(node, "1")] == list(holders)


async def test_what_is_claimed_and_released_without_waiting_is_soon_seen_by_every_node(nodes: Nodes) -> None:
    one, other = nodes
    one.presence.claim_soon(ACCOUNT, "soon", holder(one, "1"))
    await until_held(other, "soon", held=True)
    other.presence.claim_soon(ACCOUNT, "soon", holder(other, "2"))
    one.presence.release_soon(ACCOUNT, "soon", holder(one, "1"))
    await until_held(other, "soon", held=True)
    other.presence.release_soon(ACCOUNT, "soon", holder(other, "2"))
    await until_held(one, "soon", held=False)

    assert not await one.presence.is_held(OTHER, "soon")


async def until_held(node: Node, name: str, *, held: bool) -> None:
    async def is_as_expected() -> bool:
        return await node.presence.is_held(ACCOUNT, name) is held

    await until(is_as_expected)
