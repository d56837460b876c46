"""What must have the database alone refuses beside a running server and names it, but not after `kill -9`."""

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from tests.e2e.conftest import server_on
from tests.support.commands import Ended, command
from tests.support.environments import Environment, OpenEnvironment
from tests.support.server_process import Server

pytestmark = pytest.mark.slow

WAYS = {
    "with Redis": {},
    "through a pooler": {"DATABASE_URL": "{DATABASE_URL}?pgbouncer=true"},
    "without Redis": {"REDIS_URL": ""},
}


@pytest.fixture(params=WAYS)
def reached(request: pytest.FixtureRequest, environment: Environment) -> Environment:
    """A pooler does not show whose connections it has; without Redis only PostgreSQL knows of a server."""
    if environment.flavor == "light" and request.param != "with Redis":
        pytest.skip("a light server has neither")
    changed = {name: value.format_map(environment.variables) for name, value in WAYS[request.param].items()}
    return replace(environment, variables={**environment.variables, **changed})


def assert_refused(ended: Ended, server: Server) -> None:
    assert server.process is not None
    assert (1, 1) == (ended.code, ended.err.count("\n")), ended
    assert f"happy-server, process {server.process.pid} on {socket.gethostname()[:31]}" in ended.err


async def test_a_restore_and_a_new_secret_beside_a_running_server_were_not_refused(
    reached: Environment, tmp_path: Path
) -> None:
    archive = tmp_path / "backup.tar.zst"
    async with server_on(reached, tmp_path / "home") as server:
        assert 0 == (await command(reached, "backup", str(archive))).code
        restored = await command(reached, "restore", str(archive))
        replaced = await command(reached, "new-secret", "--yes")
        assert_refused(restored, server)
        assert_refused(replaced, server)
        server.kill()

        assert 0 == (await command(reached, "new-secret", "--yes")).code
        assert 0 == (await command(reached, "restore", str(archive))).code


async def test_servers_of_another_database_on_the_same_redis_are_in_nobodys_way(
    environment: Environment, open_environment: OpenEnvironment, tmp_path: Path
) -> None:
    archive = tmp_path / "backup.tar.zst"
    async with server_on(environment, tmp_path / "home"):
        assert 0 == (await command(environment, "backup", str(archive))).code
        with open_environment() as other:
            assert 0 == (await command(other, "restore", str(archive))).code


async def test_every_replica_is_named(environment: Environment, tmp_path: Path) -> None:
    if environment.flavor == "light":
        pytest.skip("a light server is one process")
    async with (
        server_on(environment, tmp_path / "one") as one,
        server_on(environment, tmp_path / "two") as two,
    ):
        numbers = [each.process.pid for each in (one, two) if each.process is not None]
        refused = await command(environment, "new-secret", "--yes")

    assert 1 == refused.code
    assert all(f"process {number} on" in refused.err for number in numbers)
    assert "other servers, process" in refused.err


async def test_a_redis_that_is_away_is_a_warning(environment: Environment, tmp_path: Path) -> None:
    if environment.flavor == "light":
        pytest.skip("a light server has none")
    archive, away = tmp_path / "backup.tar.zst", "redis://127.0.0.1:9"
    nobody = replace(environment, variables={**environment.variables, "REDIS_URL": away})
    assert 0 == (await command(environment, "backup", str(archive))).code

    done = await command(nobody, "restore", str(archive))

    assert 0 == done.code
    assert "cannot say whether a server runs" in done.err
