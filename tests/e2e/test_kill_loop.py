"""The short version of `make kill-loop`."""

from pathlib import Path

from tests.e2e import kill_loop
from tests.e2e.conftest import FLAVOR
from tests.e2e.server import Server


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    server = Server(tmp_path / "home", flavor=FLAVOR)
    try:
        ledger, problems = await kill_loop.run(server, rounds=3, seed=2)
    finally:
        server.kill()

    assert problems == []
    assert sum(map(len, ledger.promised.values())) > 100
