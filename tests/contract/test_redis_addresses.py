"""Redis under every kind of address: sockets, TLS with a private authority, users with few rights."""

import secrets
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from happy.adapters.full import open_checked_redis
from happy.adapters.full.redis.address import parse
from happy.adapters.full.redis.envelopes import Retention
from happy.adapters.full.redis.rights import _commands
from happy.adapters.full.redis.scripts import ALIVE, HOLDERS, PUBLISH, RECOVER
from happy.domain.errors import StartupError
from happy.domain.values import ReplicaId
from tests.support.certificates import Authority, Certificate
from tests.support.redis_server import OwnRedis, own_redis
from tests.support.server_process import free_port

pytestmark = pytest.mark.services
PASSWORD = "pa55w0rd"
EVERYTHING = "on >pa55w0rd resetkeys resetchannels ~happy:* &happy:* -@all"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def certificate(authority: Authority) -> Certificate:
    return authority.issue("localhost")


@pytest.fixture(scope="module")
def tls_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def redis(
    tmp_path_factory: pytest.TempPathFactory, authority: Authority, certificate: Certificate, tls_port: int
) -> Iterator[OwnRedis]:
    """It speaks TLS on one port more."""
    files = ("--tls-cert-file", str(certificate.file), "--tls-key-file", str(certificate.key))
    clients = ("--tls-ca-cert-file", str(authority.file), "--tls-auth-clients", "optional")
    more = ("--tls-port", str(tls_port), *files, *clients)
    with own_redis(tmp_path_factory.mktemp("redis"), *more) as running:
        yield running


async def use(url: str, authority: Path | None = None) -> None:
    """A complete start, and an event that arrives."""
    replica = ReplicaId(secrets.token_hex(8))
    async with open_checked_redis(url, replica, Retention(), authority) as redis:
        assert redis.link.up
        await redis.link.execute("SET", f"{redis.link.prefix}test", "1", "EX", 1)


async def refusal(url: str, authority: Path | None = None) -> str:
    with pytest.raises(StartupError) as caught:
        await use(url, authority)
    assert PASSWORD not in str(caught.value)
    assert "\n" not in str(caught.value)
    return str(caught.value)


async def test_a_socket_stopped_the_start_with_a_traceback(redis: OwnRedis) -> None:
    await use(f"unix://{redis.socket}")
    await use(f"unix://{redis.socket}?db=2")

    assert f"cannot use Redis at {redis.socket}x/0: " in await refusal(f"unix://{redis.socket}x")


async def test_an_authority_of_ones_own_is_named_in_the_address_or_the_setting(
    redis: OwnRedis, tls_port: int, authority: Authority, certificate: Certificate
) -> None:
    url = f"rediss://localhost:{tls_port}"
    client = f"&ssl_certfile={certificate.file}&ssl_keyfile={certificate.key}"

    await use(url, authority.file)
    await use(f"{url}/1?ssl_ca_certs={authority.file}{client}")
    await use(f"redis://localhost:{tls_port}?tls=true", authority.file)
    await use(f"{url}?ssl_cert_reqs=none")
    await use(f"{url}?skip_verify=true")
    message = await refusal(url)
    assert "certificate verify failed" in message
    assert message.endswith("give the certificate of its authority (HAPPY_REDIS_CA_FILE)")


async def test_an_address_on_the_wrong_port_is_named(
    redis: OwnRedis, tls_port: int, authority: Authority
) -> None:
    assert "or not (redis://)" in await refusal(f"rediss://localhost:{redis.port}", authority.file)
    assert (await refusal(f"redis://localhost:{tls_port}")).endswith("if it wants TLS, take rediss://")


async def test_parameters_of_other_clients_stopped_the_start(
    redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    await use(f"{redis.url}/0?family=6&protocol=3&pool_size=5&x=y")

    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    expected = "REDIS_URL: ignored family, pool_size, protocol, 1 unknown parameter,"
    assert warning.startswith(expected)


# ---- rights


@pytest.fixture
async def user(redis: OwnRedis) -> AsyncIterator[str]:
    name = f"user{secrets.token_hex(4)}"
    yield name
    await redis.command("ACL", "DELUSER", name)


async def allow(redis: OwnRedis, user: str, *rules: str) -> str:
    """The address of a user who may do exactly that."""
    answer = await redis.command("ACL", "SETUSER", user, *EVERYTHING.split(), *rules)
    assert b"+OK" in answer
    return f"redis://{user}:{PASSWORD}@127.0.0.1:{redis.port}"


async def test_all_missing_rights_of_a_redis_user_are_named(redis: OwnRedis, user: str) -> None:
    url = await allow(redis, user, "+ping", "+select")

    message = await refusal(url)

    start = f"Redis at 127.0.0.1:{redis.port}/0 denies its user {user} what this server needs: "
    start += f"ACL SETUSER {user} "
    assert message.startswith(start)
    rules = message.removeprefix(start).split()
    await use(await allow(redis, user, "+ping", "+select", *rules))
    for rule in rules:
        others = [other for other in rules if other != rule]
        assert rule in await refusal(await allow(redis, user, "+ping", "+select", *others))


async def test_the_documented_rights_are_enough(redis: OwnRedis, user: str) -> None:
    rules = documented_rules()

    await use((await allow(redis, user, *rules)) + "/3")


def documented_rules() -> list[str]:
    documentation = (Path(__file__).parents[2] / "docs" / "operating-full.md").read_text("utf-8")
    (line,) = [line for line in documentation.splitlines() if line.strip().startswith("ACL SETUSER happy on")]
    return [word for word in line.split() if word.startswith("+")]


@pytest.mark.parametrize(
    ("rules", "missing"), [("resetkeys ~other:*", "~happy:*"), ("resetchannels &other", "&happy:*")]
)
async def test_missing_rights_to_keys_or_channels_are_named(
    redis: OwnRedis, user: str, rules: str, missing: str
) -> None:
    url = await allow(redis, user, "+@all", *rules.split())

    assert (await refusal(url)).endswith(f"ACL SETUSER {user} {missing}")


async def test_a_wrong_password_is_named_and_not_shown(redis: OwnRedis) -> None:
    message = await refusal(f"redis://somebody:{PASSWORD}@127.0.0.1:{redis.port}")

    assert message.endswith("check user and password in REDIS_URL, and that they are percent-encoded")


async def test_a_missing_password_is_named(tmp_path: Path) -> None:
    with own_redis(tmp_path, "--requirepass", PASSWORD) as locked:
        message = await refusal(locked.url)

    assert message.endswith("Authentication required: put user and password into REDIS_URL")


def test_the_check_knows_every_command_of_the_scripts() -> None:
    tried = {str(command[0]) for command in _commands("happy:0:")}
    scripts = f"{ALIVE}{HOLDERS}{PUBLISH}{RECOVER}"
    called = {part.split("'")[0] for part in scripts.split("redis.call('")[1:]}

    assert set() == called - tried


# ---- what an address means


@pytest.mark.parametrize(
    ("url", "display"),
    [
        ("redis://cache", "cache:6379/0"),
        ("redis://:s3cret@cache:7000/4", "cache:7000/4"),
        ("redis://cache?db=5", "cache:6379/5"),
        ("rediss://ada:s3cret@[::1]:1/", "::1:1/0"),
        ("unix:///run/redis.sock?db=1&password=s3cret", "/run/redis.sock/1"),
        ("unix://ada:s3cret@/run/redis.sock", "/run/redis.sock/0"),
    ],
)
def test_the_display_of_an_address_has_no_credentials(url: str, display: str) -> None:
    address = parse(url)

    assert display == address.display
    assert "s3cret" not in repr(address)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://cache/first", "expected the number of a database"),
        ("redis://a,b", "expected one host; Redis Cluster is not supported"),
        ("unix://run/redis.sock", "expected unix:///path/of/redis.sock"),
        ("rediss://cache?ssl_ca_certs=/none/such", "ssl_ca_certs= names a file that cannot be read"),
        ("redis://:pa#55@cache", "percent-encoded: # is %23"),
        ("redis://:pa/55@cache", "percent-encoded: # is %23"),
        ("redis://:pa@55@cache", "percent-encoded: # is %23"),
        ("redis://:pa?55@cache", "percent-encoded: # is %23"),
        ("redis://:pa[55@cache", "percent-encoded: # is %23"),
    ],
)
def test_an_address_that_cannot_be_one_is_named(url: str, message: str) -> None:
    with pytest.raises(StartupError, match=message):
        parse(url)
