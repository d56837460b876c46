"""No message, log or traceback holds a piece of a secret of an address, whatever goes wrong."""

import secrets
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from happy.cli.main import run
from tests.support.api_client import ApiClient
from tests.support.certificates import Authority
from tests.support.environments import SECRET, Environment, full_environment
from tests.support.object_store import ObjectStore, run_object_store
from tests.support.postgres_server import OwnPostgres, own_postgres
from tests.support.redis_server import OwnRedis, Wire, own_redis
from tests.support.server_process import Server, free_port
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.services]
Variables = dict[str, str]
ALPHABET = "QXZJKWV"
"""Of these letters no other word here is made."""


def new_secret(*, raw: str = "") -> str:
    """With all characters that mean something in an address."""
    parts = ["".join(secrets.choice(ALPHABET) for _ in range(12)) for _ in range(3)]
    return f"{parts[0]}{raw}{parts[1]}{raw}{parts[2]}"


def shown(secret: str, text: str) -> set[str]:
    """The pieces of the secret that are in the text."""
    return {
        piece for at in range(len(secret) - 3) if (piece := secret[at : at + 4]).isalpha() and piece in text
    }


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnPostgres]:
    """It wants a password, and speaks no TLS."""
    with own_postgres() as running:
        running.query("CREATE ROLE ada LOGIN SUPERUSER PASSWORD 'right'", "CREATE ROLE few LOGIN")
        running.stop("fast")
        running.admit("host all postgres 127.0.0.1/32 trust", "host all all 127.0.0.1/32 scram-sha-256")
        running.start()
        yield running


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnRedis]:
    with own_redis(tmp_path_factory.mktemp("redis"), "--requirepass", "right") as running:
        yield running


@pytest.fixture(scope="module")
def environment(postgres_template: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Environment]:
    with full_environment(tmp_path_factory.mktemp("data"), postgres_template) as made:
        yield made


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with run_object_store() as running:
        yield running


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextmanager
def echoing() -> Iterator[int]:
    """A server that repeats what it does not understand, as old ones of Redis did."""

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            with suppress(ConnectionError):  # whose traceback would be on the same screen
                while line := self.rfile.readline():
                    self.wfile.write(
                        b"-ERR unknown command `AUTH`, with args beginning with: `%s`\r\n" % line.strip()
                    )

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield int(server.server_address[1])
        server.shutdown()


DATABASES: dict[str, Callable[[str, OwnPostgres, Authority], str]] = {
    "wrong password": lambda s, pg, _: f"postgresql://ada:{s}@127.0.0.1:{pg.port}/postgres",
    "no such user": lambda s, pg, _: f"postgresql://nobody:{s}@127.0.0.1:{pg.port}/postgres",
    "no such database": lambda s, pg, _: f"postgresql://postgres:{s}@127.0.0.1:{pg.port}/none",
    "nobody listens": lambda s, *_: f"postgresql://ada:{s}@127.0.0.1:1/postgres",
    "unknown host": lambda s, *_: f"postgresql://ada:{s}@no.such.invalid/postgres",
    "no TLS": lambda s, pg, _: f"postgresql://ada:{s}@127.0.0.1:{pg.port}/postgres?sslmode=require",
    "no TLS, checked": lambda s, pg, a: (
        f"postgresql://ada:{s}@127.0.0.1:{pg.port}/x?sslmode=verify-full&sslrootcert={a.file}"
    ),
    "key's password": lambda s, pg, a: (
        f"postgresql://ada@127.0.0.1:{pg.port}/x?sslidentity={a.issue('c').pkcs12}&sslpassword={s}"
    ),
    "in the query": lambda s, pg, _: f"postgresql://127.0.0.1:{pg.port}/x?user=ada&password={s}",
    "unknown parameter": lambda s, pg, _: f"postgresql://ada:{s}@127.0.0.1:{pg.port}/x?{s}={s}",
    "unknown mode": lambda s, pg, _: f"postgresql://ada:{s}@127.0.0.1:{pg.port}/x?sslmode={s}",
    "port of words": lambda s, *_: f"postgresql://ada:{s}@127.0.0.1:{s}/x",
    "no host": lambda s, *_: f"postgresql://ada:{s}",
    "not encoded": lambda s, *_: f"postgresql://ada:{s}#{s}@db/x",
    "another scheme": lambda s, *_: f"mysql://ada:{s}@db/x",
}
REDISES: dict[str, Callable[[str, OwnRedis, int], str]] = {
    "wrong password": lambda s, r, _: f"redis://:{s}@127.0.0.1:{r.port}",
    "wrong user": lambda s, r, _: f"redis://ada:{s}@127.0.0.1:{r.port}/2",
    "nobody listens": lambda s, *_: f"redis://:{s}@127.0.0.1:1",
    "unknown host": lambda s, *_: f"redis://:{s}@no.such.invalid",
    "echo": lambda s, _, echo: f"redis://:{s}@127.0.0.1:{echo}",
    "no socket": lambda s, *_: f"unix://ada:{s}@/none/such.sock?password={s}",
    "unknown parameter": lambda s, r, _: f"redis://:{s}@127.0.0.1:{r.port}?{s}={s}",
    "number of words": lambda s, r, _: f"redis://:{s}@127.0.0.1:{r.port}/{s}",
    "not encoded": lambda s, *_: f"redis://:{s}/{s}@cache",
    "another scheme": lambda s, *_: f"http://:{s}@cache",
}
STORES: dict[str, Callable[[str], Variables]] = {
    "unknown key": lambda s: {"S3_ACCESS_KEY": s, "S3_SECRET_KEY": s},
    "nobody listens": lambda s: {"S3_SECRET_KEY": s, "S3_PORT": "1"},
    "in the host": lambda s: {"S3_HOST": f"key:{s}@127.0.0.1", "S3_SECRET_KEY": s},
    "in an address": lambda s: {"HAPPY_S3_PUBLIC_ENDPOINT": f"key:{s}@127.0.0.1"},
    "in another": lambda s: {"S3_PUBLIC_URL": f"https://key:{s}@127.0.0.1"},
}


def start(capsys: pytest.CaptureFixture[str], variables: Variables, command: str = "serve") -> str:
    """All that an attempt to start writes, which is one line on stderr."""
    environ = {
        "HANDY_MASTER_SECRET": SECRET,
        "METRICS_ENABLED": "false",
        "PORT": str(free_port()),
        **variables,
    }
    assert 1 == run([command, "--flavor", "full"], environ)
    out, error = capsys.readouterr()
    assert 1 == error.count("\n"), error
    return out + error


@pytest.mark.parametrize("what", DATABASES)
@pytest.mark.parametrize("command", ["serve", "migrate", "schema-check"])
def test_a_piece_of_the_database_password_was_on_the_screen(
    what: str,
    command: str,
    postgres: OwnPostgres,
    authority: Authority,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    secret = new_secret()

    url = DATABASES[what](secret, postgres, authority)

    assert set() == shown(secret, start(capsys, {"DATABASE_URL": url, "DATA_DIR": str(tmp_path)}, command))


@pytest.mark.parametrize("what", REDISES)
def test_a_piece_of_the_redis_password_was_on_the_screen(
    what: str, redis: OwnRedis, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = new_secret()
    with echoing() as echo:
        url = REDISES[what](secret, redis, echo)

        assert set() == shown(secret, start(capsys, {**environment.variables, "REDIS_URL": url}))


@pytest.mark.parametrize("what", STORES)
def test_a_piece_of_the_object_stores_key_was_on_the_screen(
    what: str, object_store: ObjectStore, environment: Environment, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = new_secret()
    bucket = object_store.variables(object_store.new_bucket())
    object_store.provider.knows_key = False
    try:
        variables = {**environment.variables, **bucket, **STORES[what](secret)}
        assert set() == shown(secret, start(capsys, variables))
    finally:
        object_store.forget()


async def test_a_piece_of_a_secret_was_in_the_log_of_a_running_server(
    environment: Environment, redis: OwnRedis, object_store: ObjectStore, tmp_path: Path
) -> None:
    """All three services go away, and come back with other passwords."""
    secret, user = new_secret(raw="#/?[]@:"), f"user{secrets.token_hex(4)}"
    encoded = quote(secret, safe="")
    database = urlsplit(environment.variables["DATABASE_URL"])
    async with (
        Wire(database.port or 5432) as to_postgres,
        Wire(redis.port) as to_redis,
    ):
        await redis.command("AUTH", "right\r\nACL", "SETUSER", user, "on", "nopass", "~*", "&*", "+@all")
        bucket = object_store.variables(object_store.new_bucket(), S3_SECRET_KEY=secret)
        object_store.provider.secret_key = secret
        variables = {
            **environment.variables,
            **bucket,
            "DATABASE_URL": f"postgresql://postgres:{encoded}@127.0.0.1:{to_postgres.port}{database.path}",
            "REDIS_URL": f"redis://{user}:{encoded}@127.0.0.1:{to_redis.port}",
            "HAPPY_LOG_LEVEL": "debug",
        }
        async with Server(tmp_path / "home", flavor="full", variables=variables) as server:
            async with ApiClient.signed_in(server.url) as api:
                session = (await api.create_session())["id"]
                object_store.provider.denied = frozenset({"list"})
                await api.request("DELETE", f"/v1/sessions/{session}")
                await redis.command("AUTH", "right\r\nACL", "SETUSER", user, "resetpass", ">another")
                await to_redis.cut()
                await to_postgres.cut()
                await api.request("POST", "/v1/sessions", json={"tag": "t", "metadata": "m"})
                assert 503 == (await api.request("GET", "/health")).status_code
                await to_redis.mend()

                async def is_refused() -> bool:
                    return user.encode() in await redis.command("AUTH", "right\r\nACL", "LOG")

                await until(is_refused)
            log = server.log_text()
    object_store.forget()
    assert "Redis is out of reach" in log
    assert "the health check failed: Database connectivity failed" in log
    assert set() == shown(secret, log) | shown(encoded, log)
