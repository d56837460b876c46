"""The short version of `make kill-loop`."""

from pathlib import Path

import pytest

from tests.e2e import kill_loop
from tests.e2e.conftest import server_on
from tests.support.environments import Environment

pytestmark = pytest.mark.slow


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(
    environment: Environment, tmp_path: Path
) -> None:
    server = server_on(environment, tmp_path / "home")
    try:
        ledger, problems = await kill_loop.run(server, rounds=3, seed=2)
    finally:
        server.kill()

    assert problems == []
    assert sum(map(len, ledger.promised.values())) > 100
