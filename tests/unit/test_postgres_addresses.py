"""Database addresses as consoles and other clients write them, and what they come to here."""

import secrets
import traceback
from pathlib import Path
from urllib.parse import quote

import pytest

from happy.adapters.full.postgres.dsn import Address, parse
from happy.adapters.full.postgres.pool import pool_settings
from happy.domain.errors import StartupError
from tests.support.certificates import Authority

NEON = "postgresql://ada:pa55@ep-x-pooler.eu.aws.neon.tech/db?sslmode=require&channel_binding=require"
SUPABASE = (
    "postgresql://postgres.ref:pa55@aws-0.pooler.supabase.com:6543/postgres?pgbouncer=true&supa=base-pooler.x"
)
PRISMA = "postgres://key:sk_pa55@db.prisma.io:5432/?sslmode=require&connection_limit=5&pool_timeout=0"
RAILWAY = (
    "postgresql://postgres:pa55@containers.railway.app:7777/railway?sslmode=no-verify&uselibpqcompat=true"
)
CLOUD_SQL = "postgresql://ada:pa55@localhost/db?host=/cloudsql/project:region:instance"
RDS = "postgres://ada:pa55@x.rds.amazonaws.com:5432/db?ssl=true&connect_timeout=15&statement_cache_size=0"


def mode(address: Address) -> str | None:
    return address.tls.mode


def test_what_consoles_give_is_translated() -> None:
    neon, supabase, prisma = parse(NEON), parse(SUPABASE), parse(PRISMA)
    railway, rds = parse(RAILWAY), parse(RDS)

    assert ("require", "channel_binding") == (mode(neon), neon.ignored)
    assert (True, "supa") == (supabase.behind_pooler, supabase.ignored)
    assert (5, None, "pool_timeout") == (prisma.connections, prisma.database, prisma.ignored)
    assert ("no-verify", "uselibpqcompat") == (mode(railway), railway.ignored)
    assert ("require", 15, False, "") == (mode(rds), rds.connect_seconds, rds.keeps_statements, rds.ignored)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("postgres://a.ref:b@aws-0-eu-west-1.pooler.supabase.com:6543/postgres", True),
        ("postgres://a.ref:b@aws-0-eu-west-1.pooler.supabase.com:5432/postgres", False),
        ("postgres://a:b@ep-x-y-pooler.eu-central-1.aws.neon.tech/db?sslmode=require", True),
        ("postgres://a:b@ep-x-y-pooler.eu-central-1.aws.neon.tech/db?pgbouncer=false", False),
        ("postgres://a:b@ep-x-y.eu-central-1.aws.neon.tech/db", False),
    ],
)
def test_a_pooler_that_everybody_knows_needs_no_word(url: str, *, expected: bool) -> None:
    assert expected == parse(url).behind_pooler


def test_a_host_in_the_query_wins() -> None:
    address = parse(CLOUD_SQL)

    assert (("/cloudsql/project:region:instance", None),) == address.hosts
    assert "/cloudsql/project:region:instance/db" == address.display
    assert [5432] == address.arguments()["port"]
    assert (("a", 1), ("b", 2)) == parse("postgresql://x:9/db?host=a,b&port=1,2").hosts


def test_the_driver_gets_the_parts_and_no_address_with_a_secret() -> None:
    given = parse("postgres://ada:p%40ss%2Fword@[::1]:5433,db2/my%20db?options=-c%20x%3Dy").arguments()

    assert ["::1", "db2"] == given["host"]
    assert [5433, 5432] == given["port"]
    assert ("ada", "p@ss/word", "my db") == (given["user"], given["password"], given["database"])
    assert "postgresql://" == given["dsn"]


def test_the_number_of_connections_follows_the_address() -> None:
    plain = parse("postgresql://db/happy")

    assert [16, 5, 3] == [
        pool_settings(*asked).largest for asked in ((plain,), (parse(PRISMA),), (parse(PRISMA), 3))
    ]
    assert 16 == pool_settings(parse("postgresql://db/happy?connection_limit=0")).largest


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ssl=true", "require"),
        ("ssl=0", "disable"),
        ("ssl=verify-full", "verify-full"),
        ("sslmode=verify_full", "verify-full"),
        ("sslmode=no-verify", "no-verify"),
        ("sslrootcert=system", "verify-full"),
        ("sslmode=require&sslrootcert=system", "verify-full"),
        ("sslmode=verify-ca", "verify-full"),
        ("sslmode=require&sslaccept=strict", "verify-full"),
        ("sslmode=require&sslaccept=accept_invalid_certs", "no-verify"),
        ("sslaccept=accept_invalid_certs", None),
        ("sslmode=disable", "disable"),
        ("", None),
    ],
)
def test_every_way_to_require_encryption(
    query: str, expected: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))

    assert expected == mode(parse(f"postgresql://db/happy?{query}"))


def test_a_certificate_without_a_key_is_the_one_of_an_authority(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    client = authority.issue("client")

    prismas = parse(f"postgresql://db/happy?sslmode=require&sslcert={authority.file}")
    clients = parse(f"postgresql://db/happy?sslmode=require&sslcert={client.file}&sslkey={client.key}")

    assert {"sslrootcert": str(authority.file)} == prismas.tls.files
    assert {"sslcert": str(client.file), "sslkey": str(client.key)} == clients.tls.files


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("sslmode=often", "expected sslmode= and one of disable, allow, prefer, "),
        ("sslrootcert=/none/such.pem", "sslrootcert= names a file that cannot be read: /none/such.pem"),
        ("sslidentity=/none/such.p12", "sslidentity= names a file that cannot be read: /none/such.p12"),
        ("connection_limit=many", "expected connection_limit= and a number up to 1000"),
        ("host=a,b&port=1,2,3", "expected port= with one port, or one for each host"),
    ],
)
def test_what_cannot_work_is_named(query: str, message: str) -> None:
    with pytest.raises(StartupError, match=message):
        parse(f"postgresql://ada:pa55@db/happy?{query}")


def test_unknown_parameters_are_counted_not_named() -> None:
    assert "supa, 2 unknown parameters" == parse("postgresql://db/happy?supa=1&a=b&c=d").ignored


# ---- secrets

SHAPES = (
    "postgresql://ada:{}@db.example.org:5432/happy",
    "postgresql://ada:{}@db.example.org/happy?sslmode=require",
    "postgres://{}@db.example.org/happy",
    "postgresql://ada:{}@/happy?host=/cloudsql/x",
    "postgresql://ada:{}@[::1]:5432/happy",
)
RAW = "#/?[]@"


def pieces(secret: str, length: int = 4) -> set[str]:
    return {secret[at : at + length] for at in range(len(secret) - length + 1)}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("raw", RAW)
def test_a_raw_character_in_a_password_is_one_line_that_shows_nothing_of_it(shape: str, raw: str) -> None:
    for _ in range(50):
        head, tail = (random_text(secrets.choice(("QXZJKWV", "0123456789"))) for _ in range(2))
        with pytest.raises(StartupError, match="percent-encoded: # is %23, / is %2F") as caught:
            parse(shape.format(head + raw + tail))
        shown = "".join(traceback.format_exception(caught.value))
        assert set() == {piece for part in (head, tail) for piece in pieces(part) if piece in shown}
        assert "\n" not in str(caught.value)


def random_text(alphabet: str) -> str:
    """Of letters that no traceback is made of, or of digits, which could be taken for a port."""
    return "".join(secrets.choice(alphabet) for _ in range(10))


def test_a_percent_encoded_password_arrives_as_it_is() -> None:
    for shape in SHAPES:
        if ":{}" not in shape:
            continue
        secret = secrets.token_hex(4) + RAW + "%:&=+ " + secrets.token_hex(4)
        address = parse(shape.format(quote(secret, safe="")))

        assert secret == address.password
        assert secret not in repr(address)
