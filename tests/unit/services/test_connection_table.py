"""Which connections are closed when there are too many."""

from collections.abc import Callable

import pytest

from happy.services.connection_table import BATCH, ConnectionTable, Standing, TableEntry
from happy.services.refusals import RefusalKind, Refusals


class Quiet(Refusals):
    """Without a log, which needs an event loop."""

    def __call__(self, kind: RefusalKind, address: str = "") -> None:
        self.counts[kind.value] += 1


class Crowd:
    """A table, and the names of connections that it closed."""

    def __init__(self, most: int = 10, most_per_address: int = 5) -> None:
        self.table = ConnectionTable(Quiet(), most, most_per_address)
        self.closed: list[str] = []

    def admit(self, name: str, address: str = "a", standing: Standing = Standing.STRANGER) -> TableEntry:
        entry = self.table.admit(address, self._close(name))
        entry.standing = standing
        return entry

    def _close(self, name: str) -> Callable[[], None]:
        return lambda: self.closed.append(name)


def test_the_oldest_stranger_of_an_address_makes_room() -> None:
    crowd = Crowd()
    crowd.admit("member", standing=Standing.MEMBER)
    crowd.admit("idle", standing=Standing.IDLE)
    for number in range(4):
        crowd.admit(f"stranger {number}")

    assert ["stranger 0"] == crowd.closed
    assert {"connections_of_address": 1} == crowd.table.refusals.counts


def test_idle_connections_make_room_before_those_with_a_request() -> None:
    crowd = Crowd()
    for number, standing in enumerate([Standing.REQUEST, Standing.IDLE, Standing.IDLE, Standing.MEMBER]):
        crowd.admit(f"{standing.name} {number}", standing=standing)
    crowd.admit("fifth", standing=Standing.MEMBER)
    crowd.admit("sixth")

    assert ["IDLE 1"] == crowd.closed


def test_an_address_has_no_share_of_others() -> None:
    crowd = Crowd()
    for address in ("a", "b"):
        for number in range(5):
            crowd.admit(f"{address}{number}", address)

    assert [] == crowd.closed


def test_when_full_the_address_with_most_strangers_loses_them() -> None:
    crowd = Crowd(most=10, most_per_address=8)
    crowd.admit("old stranger", "c")
    for number in range(4):
        crowd.admit(f"member {number}", "b", Standing.MEMBER)
    for number in range(5):
        crowd.admit(f"a{number}", "a")
    crowd.admit("new", "d")

    assert ["a0"] == crowd.closed
    assert {"connections": 1} == crowd.table.refusals.counts


def test_members_stay_while_there_is_anybody_else() -> None:
    crowd = Crowd(most=10, most_per_address=10)
    for number in range(9):
        crowd.admit(f"member {number}", "b", Standing.MEMBER)
    for number in range(50):
        crowd.admit(f"stranger {number}", f"address {number}")

    assert [f"stranger {number}" for number in range(49)] == crowd.closed


def test_when_all_are_members_the_address_with_most_of_them_loses_one() -> None:
    crowd = Crowd(most=4, most_per_address=4)
    crowd.admit("first", "b", Standing.MEMBER)
    for number in range(3):
        crowd.admit(f"a{number}", "a", Standing.MEMBER)
    crowd.admit("new", "c")

    assert ["a0"] == crowd.closed


def test_clients_behind_a_proxy_that_hides_them_count_in_all_alone() -> None:
    crowd = Crowd(most=10, most_per_address=2)
    for number in range(9):
        crowd.admit(f"hidden {number}", "")
    assert [] == crowd.closed
    crowd.admit("a0", "a")
    crowd.admit("a1", "a")

    assert crowd.closed in (["a0"], ["hidden 0"])
    assert 10 == len(crowd.table)


def test_strangers_are_closed_in_batches() -> None:
    """Looking for the worst of thousands costs a millisecond: not for each of a flood."""
    crowd = Crowd(most=10 * BATCH, most_per_address=10 * BATCH)
    for number in range(10 * BATCH + 1):
        crowd.admit(str(number))

    assert [str(number) for number in range(10)] == crowd.closed


@pytest.mark.parametrize("ways", [1, 2])
def test_what_has_left_is_not_closed(ways: int) -> None:
    crowd = Crowd()
    entries = [crowd.admit(str(number)) for number in range(5)]
    for _ in range(ways):
        entries[0].remove()
    crowd.admit("fifth")
    entries[0].close()

    assert [] == crowd.closed
    for entry in entries[1:]:
        entry.remove()
    assert 1 == len(crowd.table)
    assert ["a"] == list(crowd.table._by_address)
