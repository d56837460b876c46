"""Redis as providers and systems give it: over a socket, with TLS, with parameters of other clients."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from happy.cli.main import run
from tests.support.certificates import Authority
from tests.support.environments import Environment, full_environment
from tests.support.redis_server import OwnRedis, own_redis
from tests.support.server_process import Server, free_port

pytestmark = [pytest.mark.slow, pytest.mark.services]


@pytest.fixture
def environment(postgres_template: str, tmp_path: Path) -> Iterator[Environment]:
    with full_environment(tmp_path / "data", postgres_template) as made:
        yield made


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis(tmp_path) as running:
        yield running


async def log_of_a_start(environment: Environment, home: Path, **variables: str) -> str:
    async with Server(home, flavor="full", variables={**environment.variables, **variables}) as server:
        return server.log_text()


async def test_a_redis_behind_a_socket_stopped_the_start_with_a_traceback(
    environment: Environment, redis: OwnRedis, tmp_path: Path
) -> None:
    log = await log_of_a_start(environment, tmp_path / "home", REDIS_URL=f"unix://{redis.socket}?db=1")

    assert "Redis is connected" in log


async def test_parameters_of_another_client_of_redis_stopped_the_start(
    environment: Environment, redis: OwnRedis, tmp_path: Path
) -> None:
    log = await log_of_a_start(
        environment, tmp_path / "home", REDIS_URL=f" {redis.url}/0?family=6&pool_size=3\n"
    )

    assert 1 == log.count("REDIS_URL: ignored family, pool_size, which this server does not support")


async def test_a_redis_with_a_certificate_of_ones_own_could_not_be_used(
    environment: Environment, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    made, port = authority.issue("localhost"), free_port()
    files = ("--tls-cert-file", str(made.file), "--tls-key-file", str(made.key))
    more = ("--tls-ca-cert-file", str(authority.file), "--tls-auth-clients", "no")
    with own_redis(tmp_path, "--tls-port", str(port), *files, *more):
        log = await log_of_a_start(
            environment,
            tmp_path / "home",
            REDIS_URL=f"rediss://localhost:{port}",
            HAPPY_REDIS_CA_FILE=str(authority.file),
        )
    assert "Redis is connected" in log


async def test_missing_rights_of_a_redis_user_were_named_one_at_a_time(
    environment: Environment, redis: OwnRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "p@ss/w#rd"
    rules = ("on", f">{secret}", "resetkeys", "resetchannels", "~happy:*", "&happy:*", "+@all")
    await redis.command("ACL", "SETUSER", "ada", *rules, "-publish", "-xadd")
    url = f"redis://ada:{quote(secret, safe='')}@127.0.0.1:{redis.port}"

    assert 1 == await run_in_thread(environment, REDIS_URL=url)

    denied = f"Redis at 127.0.0.1:{redis.port}/0 denies its user ada what this server needs:"
    assert f"happy-server: {denied} ACL SETUSER ada +xadd +publish\n" == capsys.readouterr().err


async def run_in_thread(environment: Environment, **variables: str) -> int:
    environ = {**environment.variables, "METRICS_ENABLED": "false", "PORT": str(free_port()), **variables}
    return await asyncio.to_thread(run, ["serve"], environ)
