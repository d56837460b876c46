"""What operators are told of the database as a whole."""

from happy.domain.ports.repository import RowCounts, Store
from tests import seeds


async def test_f13_rows_counted_as_none_until_the_database_had_looked_at_them(store: Store) -> None:
    owner = await seeds.account(store)
    await seeds.session(store, owner)
    await seeds.machine(store, owner)

    assert RowCounts(accounts=1, sessions=1, messages=0, machines=1) == await store.read(
        lambda tx: tx.statistics.rows()
    )
