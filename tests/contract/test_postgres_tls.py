"""Encrypted connections to a PostgreSQL with a certificate of a private authority."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import asyncpg
import pytest

from happy.adapters.full.postgres.connecting import startup_errors
from happy.adapters.full.postgres.dsn import parse
from happy.adapters.full.postgres.pool import arguments
from happy.domain.errors import StartupError
from tests.support.certificates import Authority, Certificate
from tests.support.postgres_server import OwnPostgres, own_postgres

pytestmark = [pytest.mark.slow, pytest.mark.services]
PASSWORD = "p#4/5?6[7]8@9"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def client_certificate(authority: Authority) -> Certificate:
    return authority.issue("certified")


@pytest.fixture(scope="module")
def postgres(authority: Authority) -> Iterator[OwnPostgres]:
    """`ada` needs TLS and a password, `certified` a certificate, `plain` must come without TLS."""
    server = authority.issue("localhost")
    with own_postgres() as running:
        running.query(
            f"CREATE ROLE ada LOGIN SUPERUSER PASSWORD '{PASSWORD}'",
            "CREATE ROLE certified LOGIN",
            "CREATE ROLE plain LOGIN",
        )
        running.stop("fast")
        running.encrypt(server.file, server.key)
        running.trust(authority.file)
        running.admit(
            "local all ada scram-sha-256",
            "hostssl all certified 127.0.0.1/32 cert",
            "hostnossl all plain 127.0.0.1/32 trust",
            "hostssl all ada 127.0.0.1/32 scram-sha-256",
        )
        running.start()
        yield running


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def url(postgres: OwnPostgres, query: str, user: str = "ada") -> str:
    password = f":{quote(PASSWORD, safe='')}" if user == "ada" else ""
    return f"postgresql://{user}{password}@localhost:{postgres.port}/postgres?{query}"


async def is_encrypted(address: str) -> bool:
    address_parts = parse(address)
    with startup_errors(address_parts):
        connection = await asyncpg.connect(**arguments(address_parts), timeout=10)
        try:
            used = await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        finally:
            await connection.close()
    return bool(used)


async def refusal(address: str) -> str:
    with pytest.raises(StartupError) as caught:
        await is_encrypted(address)
    return str(caught.value)


@pytest.mark.parametrize(
    "query",
    [
        "",
        "sslmode=require",
        "sslmode=no-verify",
        "ssl=true",
        "sslmode=require&channel_binding=require&uselibpqcompat=true",
        "sslmode=require&sslcert={authority}",
        "sslmode=require&sslcert={authority}&sslaccept=strict",
        "sslmode=require&sslcert={other}&sslaccept=accept_invalid_certs",
        "sslmode=verify-full&sslrootcert={authority}",
        "sslmode=verify-ca&sslrootcert={authority}",
    ],
)
async def test_an_address_that_requires_encryption_gets_it(
    postgres: OwnPostgres, authority: Authority, tmp_path: Path, query: str
) -> None:
    other = Authority(tmp_path / "other", "Others")

    assert await is_encrypted(url(postgres, query.format(authority=authority.file, other=other.file)))


async def test_the_authorities_of_the_system_count(
    postgres: OwnPostgres, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = ("sslrootcert=system", "sslmode=verify-full", "sslmode=verify-ca", "sslaccept=strict")
    for query in ways:
        message = await refusal(url(postgres, query))
        assert "certificate verify failed" in message
        assert "give the certificate of its authority (sslrootcert=<file>)" in message

    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))

    assert [True] * 4 == [await is_encrypted(url(postgres, query)) for query in ways]


async def test_another_authority_is_refused(postgres: OwnPostgres, tmp_path: Path) -> None:
    other = Authority(tmp_path / "other", "Others")

    for query in ("sslmode=require", "sslmode=verify-full", "sslmode=verify-ca"):
        message = await refusal(url(postgres, f"{query}&sslrootcert={other.file}"))
        assert "certificate verify failed" in message


async def test_a_client_shows_its_certificate(
    postgres: OwnPostgres, authority: Authority, client_certificate: Certificate
) -> None:
    made = client_certificate
    separate = f"sslmode=verify-full&sslrootcert={authority.file}&sslcert={made.file}&sslkey={made.key}"
    bundled = f"sslmode=require&sslcert={authority.file}&sslidentity={made.pkcs12}"

    assert await is_encrypted(url(postgres, separate, "certified"))
    password = quote(made.password)
    assert await is_encrypted(url(postgres, f"{bundled}&sslpassword={password}", "certified"))
    message = await refusal(url(postgres, f"{bundled}&sslpassword=s3cretly", "certified"))
    assert f"DATABASE_URL: sslpassword= does not open {made.pkcs12}" == message


async def test_a_server_without_encryption_is_named_with_the_remedy(postgres: OwnPostgres) -> None:
    assert not await is_encrypted(url(postgres, "", "plain"))
    assert "SSL" in await refusal(url(postgres, "sslmode=require", "plain"))
    message = await refusal(url(postgres, "sslmode=disable"))
    assert message.endswith("it wants TLS: take sslmode=require")


async def test_a_socket_in_the_query_wins_over_the_host_in_front(postgres: OwnPostgres) -> None:
    in_front = url(postgres, f"host={postgres.socket_folder}").replace("localhost", "nobody.invalid")

    assert not await is_encrypted(in_front)


@pytest.mark.parametrize("folder", ["x" * 300, "locked"])
@pytest.mark.parametrize("query", ["", "sslmode=require", "sslmode=no-verify"])
async def test_a_home_that_cannot_be_read_is_no_error(
    postgres: OwnPostgres, home: Path, folder: str, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is too long stands for it where the tests are run by root, who may read everything."""
    if folder == "locked":
        (home / folder / ".postgresql").mkdir(parents=True)
        (home / folder).chmod(0)
    monkeypatch.setenv("HOME", str(home / folder))
    try:
        assert await is_encrypted(url(postgres, query))
    finally:
        if folder == "locked":
            (home / folder).chmod(stat.S_IRWXU)
            shutil.rmtree(home / folder)
    assert os.environ["HOME"] in (os.devnull, str(home / folder))
