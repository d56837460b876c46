"""The short version of `python -m tests.e2e.roaming_loop`."""

from pathlib import Path

import pytest

from tests.e2e import roaming_loop
from tests.support.nodejs import node

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]


@pytest.mark.parametrize(("losses", "kills"), [(12, 0), (6, 2)])
async def test_a_client_that_is_sent_from_replica_to_replica_misses_nothing(
    tmp_path: Path, losses: int, kills: int
) -> None:
    node()
    outcome = await roaming_loop.run(tmp_path, losses=losses, kills=kills, seed=5)

    assert outcome.problems() == []
    assert outcome.connects >= losses
    assert outcome.recovered == outcome.connects
    assert outcome.total > 50
