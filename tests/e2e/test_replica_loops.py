"""The short versions of `make cluster-loop`, `make outage-loop` and `make roll-loop`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import cluster_loop, outage_loop, roll_loop
from tests.e2e.crowd_writers import Pace
from tests.support.postgres_server import own_postgres

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.usefixtures("_node_is_there")]


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """Apart from that of other tests: replicas open many connections."""
    with own_postgres() as postgres:
        yield postgres.url


async def test_clients_have_everything_once_and_in_order_though_replicas_are_killed(
    tmp_path: Path, database: str
) -> None:
    pace = Pace(pause=0.1)
    outcome = await cluster_loop.run(tmp_path, database, replicas=2, sockets=40, seconds=6, seed=1, pace=pace)

    assert outcome.problems == []
    assert outcome.kills >= 2


async def test_servers_outlive_their_database_and_redis_without_losing_a_thing() -> None:
    both = outage_loop.Outage((outage_loop.POSTGRES, outage_loop.REDIS))
    outcome = await outage_loop.run(sockets=20, seconds=3, seed=1, outages=[both])

    assert outcome.problems == []
    assert outcome.recovered.keys() == {"PostgreSQL and Redis stopped"}


async def test_a_rolling_restart_is_no_more_than_a_reconnect(tmp_path: Path, database: str) -> None:
    outcome = await roll_loop.run(tmp_path, database, replicas=2, sockets=20, rounds=1, seed=1, seconds=4)

    assert outcome.problems == []
    assert len(outcome.took) == 2
