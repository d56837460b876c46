"""Sessions and machines that are active but silent are found page by page, and ended by their account."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

import pytest

from happy.domain.machines import Machine
from happy.domain.ports.repositories.machines import MachineRepository
from happy.domain.ports.repositories.sessions import SessionRepository
from happy.domain.ports.store import Store, Transaction
from happy.domain.sessions import Session
from happy.domain.values import AccountId, Millis
from tests.support import factories
from tests.support.factories import NOW

Row = Session | Machine


class Kind(NamedTuple):
    """Sessions and machines by the same names."""

    name: str

    def of(self, tx: Transaction) -> SessionRepository | MachineRepository:
        return tx.sessions if self.name == "sessions" else tx.machines

    async def add(self, store: Store, owner: AccountId, **fields: Any) -> Row:
        make: Any = factories.session if self.name == "sessions" else factories.machine
        row: Row = await make(store, owner, **{"active": True, **fields})
        return row

    async def silent(
        self, after: tuple[Millis, str], limit: int, tx: Transaction
    ) -> list[tuple[AccountId, str, Millis]]:
        return [*await self.of(tx).silent(NOW, after, limit)]

    async def end(self, store: Store, owner: AccountId, rows: Sequence[Row], seen_by: int = NOW) -> Any:
        ids: Any = [row.id for row in rows]
        return await store.write(lambda tx: self.of(tx).mark_gone(owner, ids, Millis(seen_by)))

    async def stored(self, store: Store, row: Row) -> Row:
        get: Any = factories.stored_session if self.name == "sessions" else factories.stored_machine
        stored: Row = await get(store, row.account_id, row.id)
        return stored


@pytest.fixture(params=["sessions", "machines"])
def kind(request: pytest.FixtureRequest) -> Kind:
    return Kind(request.param)


async def test_only_active_rows_of_the_account_are_ended_and_each_is_reported_once(
    store: Store, kind: Kind
) -> None:
    owner, stranger = await factories.account(store), await factories.account(store)
    active = [await kind.add(store, owner, last_active_at=Millis(NOW - number)) for number in range(3)]
    inactive = await kind.add(store, owner, active=False)
    foreign = await kind.add(store, stranger)
    later = await kind.add(store, owner, last_active_at=Millis(NOW + 1))
    rows = [*active, inactive, foreign, later]
    ended = [await kind.end(store, owner, rows) for _ in range(2)]

    assert [{(row.id, row.last_active_at) for row in active}, set()] == [set(each) for each in ended]
    assert [False, False, False, False, True, True] == [
        (await kind.stored(store, row)).active for row in rows
    ]


async def test_ending_moves_nothing_in_lists_that_are_sorted_by_time(store: Store, kind: Kind) -> None:
    owner = await factories.account(store)
    row = await kind.add(store, owner)
    await kind.end(store, owner, [row])
    stored = await kind.stored(store, row)

    assert (row.last_active_at, row.updated_at) == (stored.last_active_at, stored.updated_at)


async def test_nothing_to_end_ends_nothing(store: Store, kind: Kind) -> None:
    owner = await factories.account(store)
    row = await kind.add(store, owner)

    assert [] == list(await kind.end(store, owner, []))
    assert (await kind.stored(store, row)).active


async def test_silent_ones_are_listed_page_by_page_also_with_equal_times(store: Store, kind: Kind) -> None:
    owners = [await factories.account(store) for _ in range(2)]
    times = [NOW - 5, NOW - 5, NOW - 5, NOW - 3, NOW - 3, NOW, NOW + 1]
    made = [
        await kind.add(store, owners[number % 2], last_active_at=Millis(at))
        for number, at in enumerate(times)
    ]
    await kind.add(store, owners[0], active=False, last_active_at=Millis(NOW - 4))
    seen: list[tuple[AccountId, str, Millis]] = []
    after: tuple[Millis, str] = (Millis(0), "")
    while page := await store.read(partial(kind.silent, after, 2)):
        seen += page
        after = (page[-1][2], page[-1][1])

    assert sorted(seen, key=lambda row: row[2]) == seen
    assert {(row.account_id, row.id, row.last_active_at) for row in made[:-1]} == set(seen)
    assert len(made) - 1 == len(seen)
