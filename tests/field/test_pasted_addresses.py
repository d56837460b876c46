"""Addresses of PostgreSQL as people paste them, and what a server does with them at the start."""

from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from happy.cli.main import run
from tests.support.environments import SECRET, Environment, full_environment
from tests.support.server_process import Server, free_port

pytestmark = [pytest.mark.slow, pytest.mark.services]
NAMES = "channel_binding, pool_timeout, supa, uselibpqcompat"


@pytest.fixture
def environment(postgres_template: str, tmp_path: Path) -> Iterator[Environment]:
    with full_environment(tmp_path / "data", postgres_template) as made:
        yield made


def server_on(environment: Environment, home: Path, **variables: str) -> Server:
    return Server(home, flavor="full", variables={**environment.variables, **variables})


async def connections(url: str) -> int:
    connection = await asyncpg.connect(url)
    count: int = await connection.fetchval(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name LIKE 'happy-server%'"
    )
    await connection.close()
    return count


async def test_an_address_with_parameters_of_other_clients_stopped_the_start(
    environment: Environment, tmp_path: Path
) -> None:
    url = environment.variables["DATABASE_URL"]
    others = "channel_binding=prefer&supa=base-pooler.x&uselibpqcompat=true&pool_timeout=10"
    ours = "sslmode=prefer&statement_cache_size=0&connection_limit=2&connect_timeout=15"
    async with server_on(environment, tmp_path / "home", DATABASE_URL=f" {url}?{others}&{ours}\n") as server:
        assert await connections(url) in (1, 2)

    expected = f"DATABASE_URL: ignored {NAMES}, which this server does not support"
    assert 1 == server.log_text().count(expected)


async def test_a_replica_with_a_single_database_connection_serves(
    environment: Environment, tmp_path: Path
) -> None:
    url = environment.variables["DATABASE_URL"]
    async with server_on(environment, tmp_path / "home", HAPPY_POSTGRES_CONNECTIONS="1"):
        assert 1 == await connections(url)


async def test_a_home_that_cannot_be_read_stopped_the_start(environment: Environment, tmp_path: Path) -> None:
    """As in a container that runs as another user than its image was made for."""
    home = str(tmp_path / ("x" * 300))  # not to be looked into, by nobody, not even root

    async with server_on(environment, tmp_path / "home", HOME=home) as server:
        assert " warning " not in server.log_text()


@pytest.mark.parametrize("raw", "#/?[]@")
def test_a_raw_character_in_a_password_became_a_host_name(
    raw: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = f"postgresql://ada:QXZJ{raw}KWVQ@db.example.org:5432/happy"
    environ = {"DATABASE_URL": url, "HANDY_MASTER_SECRET": SECRET, "DATA_DIR": str(tmp_path)}

    assert 1 == run(["serve"], {**environ, "METRICS_ENABLED": "false", "PORT": str(free_port())})

    error = capsys.readouterr().err
    assert error.startswith("happy-server: DATABASE_URL: expected scheme://user:password@host:port/name")
    assert error.endswith("percent-encoded: # is %23, / is %2F, ? is %3F, [ is %5B, ] is %5D, @ is %40\n")
    assert "QXZJ" not in error
    assert "KWVQ" not in error
