"""PostgreSQL as providers run it: fail-overs, full disks, ended sessions, poolers with few connections."""

import asyncio
import secrets
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx
import pytest

from happy.adapters.full.postgres import schema
from happy.adapters.full.postgres.dsn import parse
from happy.adapters.full.postgres.pool import PoolSettings, pool_settings
from happy.adapters.full.postgres.store import open_store
from happy.cli.main import run
from happy.domain.errors import StartupError
from tests.support import databases, factories
from tests.support.api_client import ApiClient
from tests.support.environments import SECRET, full_environment
from tests.support.pgbouncer_server import own_pgbouncer
from tests.support.redis_server import Wire
from tests.support.server_process import Server, free_port
from tests.support.services import POSTGRES, result_of
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.services]
SECONDS = 20
FULL_DISK = """
CREATE FUNCTION no_room() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$;
CREATE TRIGGER no_room BEFORE INSERT ON "Session" EXECUTE FUNCTION no_room();
"""


@pytest.fixture
async def full_server(postgres_template: str, tmp_path: Path) -> AsyncIterator[Server]:
    with full_environment(tmp_path / "data", postgres_template) as environment:
        async with Server(tmp_path / "home", flavor="full", variables=environment.variables) as running:
            yield running


@pytest.fixture
async def api(full_server: Server) -> AsyncIterator[ApiClient]:
    async with ApiClient.signed_in(full_server.url) as client:
        yield client


@asynccontextmanager
async def operator(server: Server) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    connection = await asyncpg.connect(server.variables["DATABASE_URL"])
    await connection.execute("SET default_transaction_read_only = off")
    yield connection
    await connection.close()


async def make_read_only(server: Server, state: str) -> None:
    """As after a fail-over: the sessions are ended, and new ones meet a server that takes no writes."""
    name = urlsplit(server.variables["DATABASE_URL"]).path[1:]
    async with operator(server) as connection:
        await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = {state}')
        await end_sessions(connection)


async def end_sessions(connection: "asyncpg.Connection[asyncpg.Record]") -> None:
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


async def new_session(api: ApiClient) -> httpx.Response:
    return await api.request("POST", "/v1/sessions", json={"tag": secrets.token_hex(8), "metadata": "m"})


async def is_healthy(api: ApiClient) -> bool:
    return (await api.request("GET", "/health")).status_code == 200


async def test_after_a_fail_over_to_a_standby_every_request_was_an_internal_error(
    full_server: Server, api: ApiClient
) -> None:
    await make_read_only(full_server, "on")
    refused = await until_refused(api)
    assert (503, "1") == (refused.status_code, refused.headers["retry-after"])
    assert not await is_healthy(api)

    await make_read_only(full_server, "off")
    await until(lambda: is_healthy(api))
    assert 200 == (await new_session(api)).status_code
    assert "Traceback" not in full_server.log_text()


async def until_refused(api: ApiClient) -> httpx.Response:
    """A request may meet the session that is being ended, which is a 503 too."""
    refused = await new_session(api)
    while "takes no writes" not in refused.text:
        assert 503 == refused.status_code
        refused = await new_session(api)
    return refused


async def test_a_full_disk_was_an_internal_error_and_health_said_ok(
    full_server: Server, api: ApiClient
) -> None:
    async with operator(full_server) as connection:
        await connection.execute(FULL_DISK)
        refused = await new_session(api)
        assert (503, "1") == (refused.status_code, refused.headers["retry-after"])
        assert not await is_healthy(api)
        await connection.execute('DROP TRIGGER no_room ON "Session"')
    assert 200 == (await new_session(api)).status_code
    assert await is_healthy(api)


async def test_sessions_that_the_database_ended_were_internal_errors(
    full_server: Server, api: ApiClient
) -> None:
    async with operator(full_server) as connection:
        for _ in range(10):
            await end_sessions(connection)
            answers = await asyncio.gather(*(new_session(api) for _ in range(5)))
            assert {answer.status_code for answer in answers} <= {200, 503}
    await until(lambda: is_healthy(api))


async def test_a_provider_that_ends_idle_sessions_was_an_internal_error(
    full_server: Server, api: ApiClient
) -> None:
    name = urlsplit(full_server.variables["DATABASE_URL"]).path[1:]
    async with operator(full_server) as connection:
        await connection.execute("SET idle_session_timeout = 0")
        await connection.execute(f"ALTER DATABASE \"{name}\" SET idle_session_timeout = '20ms'")
        await end_sessions(connection)
    for pause in range(30):
        assert (await new_session(api)).status_code in (200, 503)
        await asyncio.sleep(0.015 + pause / 3000)  # around the very moment at which the session ends


@pytest.fixture
def read_only_database(postgres_template: str) -> Iterator[str]:
    url = result_of(databases.create(postgres_template))
    result_of(_set_read_only(url))
    yield url
    result_of(databases.drop(url))


async def _set_read_only(url: str) -> None:
    connection = await asyncpg.connect(url)
    name = urlsplit(url).path[1:]
    await connection.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
    await connection.close()


def test_a_start_on_a_read_only_database_is_one_line(
    read_only_database: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    environ = {
        "DATABASE_URL": read_only_database,
        "HANDY_MASTER_SECRET": SECRET,
        "DATA_DIR": str(tmp_path),
        "METRICS_ENABLED": "false",
        "PORT": str(free_port()),
    }
    assert 1 == run(["serve"], environ)
    error = capsys.readouterr().err
    expected = "the database is read-only: name the primary in DATABASE_URL, or make room on its disk\n"
    assert error.startswith("happy-server: cannot use the database ")
    assert error.endswith(expected)


# ---- few connections


async def work_through(url: str, settings: PoolSettings | None = None) -> None:
    async with open_store(url, settings) as store:
        owner = await factories.account(store)
        session = await factories.session(store, owner)

        async def work() -> None:
            await store.read(lambda tx: tx.accounts.existing([owner]))
            await store.write(lambda tx: tx.accounts.next_seq(owner, 1, factories.NOW))
            await store.messages.append(owner, session.id, [factories.draft()], factories.NOW)

        await asyncio.gather(*(work() for _ in range(40)))
        assert 40 == len(await store.messages.after(owner, session.id, 0, 100))


@pytest.fixture
async def database(postgres_template: str) -> AsyncIterator[str]:
    url = await databases.create(postgres_template)
    yield url
    await databases.drop(url)


async def test_a_pgbouncer_without_a_connection_left_refused_callers(database: str) -> None:
    """It says `no more connections allowed`, under a code of its own."""
    with own_pgbouncer(POSTGRES, clients=3) as port:
        await work_through(f"postgresql://anybody@127.0.0.1:{port}{urlsplit(database).path}?pgbouncer=true")


class Supavisor(Wire):
    """Lets so many clients through, and tells the others as Supabase's pooler does."""

    def __init__(self, port: int, limit: int, message: str) -> None:
        super().__init__(port)
        self._limit = limit
        self._message = message
        self._inside = 0
        self.refused = 0

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._inside < self._limit:
            self._inside += 1
            await super()._join(reader, writer)
            self._inside -= 1
            return
        self.refused += 1
        while True:
            (length,) = struct.unpack("!I", await reader.readexactly(4))
            if (await reader.readexactly(length - 4))[:4] != struct.pack("!I", 80877103):
                break
            writer.write(b"N")  # no TLS
        fields = f"SFATAL\0VFATAL\0CXX000\0M{self._message}\0\0".encode()
        writer.write(b"E" + struct.pack("!I", len(fields) + 4) + fields)
        await writer.drain()
        writer.close()


@pytest.mark.parametrize(
    "message",
    [
        "Max client connections reached",
        "MaxClientsInSessionMode: max clients reached - in Session mode max clients are limited to pool_size",
    ],
)
async def test_a_supabase_pooler_without_a_connection_left_refused_callers(
    database: str, message: str
) -> None:
    parts = urlsplit(database)
    async with Supavisor(parts.port or 5432, 2, message) as pooler:
        user = parts.netloc.rpartition("@")[0]
        await work_through(parts._replace(netloc=f"{user}@127.0.0.1:{pooler.port}").geturl())
        assert pooler.refused


async def test_the_pool_was_larger_than_the_connection_limit_of_the_address(database: str) -> None:
    url = f"{database}?connection_limit=2"
    async with Supavisor(urlsplit(database).port or 5432, 2, "Max client connections reached") as counter:
        parts = urlsplit(url)
        user = parts.netloc.rpartition("@")[0]
        through = parts._replace(netloc=f"{user}@127.0.0.1:{counter.port}").geturl()
        await work_through(through, pool_settings(parse(through)))
        assert 0 == counter.refused


async def test_a_database_that_has_no_connection_left_at_the_start_is_one_line(database: str) -> None:
    with own_pgbouncer(POSTGRES, clients=1) as port:
        url = f"postgresql://anybody@127.0.0.1:{port}{urlsplit(database).path}?pgbouncer=true"
        async with open_store(url):
            with pytest.raises(StartupError, match="let replicas take fewer") as caught:
                await schema.prepare(url)
    assert "no more connections allowed" in str(caught.value)
