"""Parses DATABASE_URL, as consoles and other clients write it, into arguments of the driver."""

import getpass
import logging
import os
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from happy.adapters.full.postgres import tls as postgres_tls
from happy.adapters.full.postgres.tls import Tls
from happy.adapters.full.url_parts import NO, YES, host_list, ignored, split
from happy.domain.errors import StartupError
from happy.settings import Secret

VARIABLE: Final = "DATABASE_URL"
MAX_CONNECTIONS: Final = 1000
MAX_CONNECT_SECONDS: Final = 60.0
SUPABASE_TRANSACTIONS: Final = 6543
Hosts = tuple[tuple[str, int | None], ...]

# Parameters of libpq or of another client that are supported.
UNDERSTOOD: Final = postgres_tls.UNDERSTOOD | {
    *("host", "port", "dbname", "database", "user", "password", "passfile", "schema", "pgbouncer"),
    *("connection_limit", "connect_timeout", "statement_cache_size", "prepare", "prepareThreshold"),
    *("application_name", "options", "target_session_attrs", "targetServerType", "krbsrvname", "gsslib"),
}

# Known parameters that are ignored. Only these are named in the log: an unknown name may be part of a
# password that was not percent-encoded.
FOREIGN: Final = frozenset(
    {
        *(
            "channel_binding",
            "uselibpqcompat",
            "supa",
            "workaround",
            "gssencmode",
            "sslsni",
            "sslcompression",
        ),
        *("pool_timeout", "socket_timeout", "pool_size", "max_overflow", "pool_recycle", "pool_pre_ping"),
        *("prepared_statement_cache_size", "prepared_statement_cache_queries", "statement_timeout"),
        *("max_idle_connection_lifetime", "max_connection_lifetime", "single_use_connections", "api_key"),
        *("keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"),
        *("client_encoding", "charset", "encoding", "timezone", "fallback_application_name", "lock_timeout"),
        *("idle_timeout", "max_lifetime", "max", "query_timeout", "load_balance_hosts", "requirepeer"),
        *(
            "idle_in_transaction_session_timeout",
            "replication",
            "require_auth",
            "currentSchema",
            "search_path",
        ),
        *("connectTimeout", "socketTimeout", "loginTimeout", "tcpKeepAlive", "ApplicationName", "sslfactory"),
        *("pool_max_conns", "pool_min_conns", "pool_max_conn_lifetime", "default_query_exec_mode"),
        *("statement_cache_capacity", "statement_cache_mode", "binary_parameters", "fetch_types", "service"),
        *("cloud_sql_instance", "enable_iam_auth", "unix_sock", "async_fallback", "min_size", "max_size"),
    }
)
_SERVER_TYPES: Final = {"primary": "primary", "master": "primary", "any": "any", "preferPrimary": "any"}

log = logging.getLogger(__name__)


class Address(Struct, frozen=True, kw_only=True):
    """A parsed DATABASE_URL. Behind a transaction pooler no server session outlives a transaction."""

    hosts: Hosts = ()
    user: str | None = None
    password: Secret | None = None
    database: str | None = None
    tls: Tls = Tls()
    schema: str | None = None
    behind_pooler: bool = False
    session: dict[str, str] = {}
    """Session settings in the URL."""

    driver: dict[str, str] = {}
    """Parameters that are passed to the driver."""

    connections: int | None = None
    connect_seconds: float | None = None
    keeps_statements: bool = True
    ignored: str = ""
    """Parameters that are ignored, for a warning."""

    @property
    def display(self) -> str:
        """Hosts and database name, without credentials, for logs and errors."""
        shown = [host if host.startswith("/") else f"{host}:{port or 5432}" for host, port in self.hosts]
        return f"{','.join(shown) or 'localhost:5432'}/{self.database or ''}"

    @property
    def server_settings(self) -> dict[str, str]:
        """Startup parameters of a connection; poolers reject those that they are not configured to accept."""
        if self.behind_pooler:
            return self.session
        settings = {"application_name": "happy-server", "jit": "off", **self.session}
        if self.schema is not None:
            settings["search_path"] = f'"{self.schema}"'
        return settings

    def arguments(self) -> dict[str, Any]:
        """Arguments of the driver. The DSN among them contains no secret, as errors may repeat it."""
        hosts = [host for host, _ in self.hosts]
        return {
            "dsn": self.tls.dsn(),
            "ssl": self.tls.context(),
            "host": hosts or None,
            "port": [port or _default_port() for _, port in self.hosts] if hosts else None,
            "user": self.user or _user(),
            "password": None if self.password is None else str(self.password),  # no subclass of `str`
            "database": self.database,
            **self.driver,
        }

    def warn(self) -> None:
        """Log the parameters that are ignored; called once at the start."""
        if self.ignored:
            log.warning("%s: ignored %s, which this server does not support", VARIABLE, self.ignored)


def parse(url: str) -> Address:
    """Raises StartupError for an invalid URL, in one line without secrets."""
    parts = split(VARIABLE, url)
    given = parts.query
    hosts = _hosts(parts.hosts, given)
    behind_pooler = _is_behind_pooler(hosts, given.get("pgbouncer", "").lower())
    if behind_pooler and given.get("schema", "public") != "public":
        raise StartupError(
            "DATABASE_URL: schema= is a session setting, which cannot be used with pgbouncer=true:"
            " set the search_path of the database user instead (ALTER ROLE ... SET search_path)"
        )
    database = given.get("dbname") or given.get("database") or parts.path.removeprefix("/")
    return Address(
        hosts=hosts,
        user=given.get("user") or parts.user,
        password=Secret(given["password"]) if given.get("password") else parts.password,
        database=database or None,
        tls=postgres_tls.read(given),
        schema=given.get("schema") or None,
        behind_pooler=behind_pooler,
        session={name: given[name] for name in ("application_name", "options") if given.get(name)},
        driver=_driver(given),
        connections=_whole(given, "connection_limit", most=MAX_CONNECTIONS),
        connect_seconds=_whole(given, "connect_timeout", most=int(MAX_CONNECT_SECONDS)),
        keeps_statements=_keeps_statements(given),
        ignored=ignored(given, UNDERSTOOD, FOREIGN),
    )


def _hosts(authority: str, given: Mapping[str, str]) -> Hosts:
    """A host in the query overrides that of the authority, whose port is kept unless the query has one."""
    hosts = host_list(VARIABLE, authority)
    if given.get("host"):
        port = hosts[0][1] if len(hosts) == 1 else None
        hosts = [(host, own or port) for host, own in host_list(VARIABLE, given["host"])]
    if given.get("port"):
        ports = [port for _, port in host_list(VARIABLE, ",".join(f":{p}" for p in given["port"].split(",")))]
        ports = ports * len(hosts) if len(ports) == 1 else ports
        if len(ports) != len(hosts):
            raise StartupError("DATABASE_URL: expected port= with one port, or one for each host")
        hosts = [(host, port) for (host, _), port in zip(hosts, ports, strict=True)]
    return tuple(hosts)


def _is_behind_pooler(hosts: Hosts, flag: str) -> bool:
    """Poolers of Supabase and Neon are recognised by host and port: their URLs have no parameter for it."""
    if flag in YES | NO:
        return flag in YES
    return any(
        (host.endswith(".pooler.supabase.com") and port == SUPABASE_TRANSACTIONS)
        or (host.endswith(".neon.tech") and "-pooler." in host)
        for host, port in hosts
    )


def _driver(given: Mapping[str, str]) -> dict[str, str]:
    found = {name: given[name] for name in ("passfile", "krbsrvname", "gsslib") if given.get(name)}
    wanted = given.get("target_session_attrs") or _SERVER_TYPES.get(given.get("targetServerType", ""))
    return {**found, "target_session_attrs": wanted} if wanted else found


def _keeps_statements(given: Mapping[str, str]) -> bool:
    """Three clients have three parameters that switch prepared statements off, for poolers."""
    off = (given.get("statement_cache_size"), given.get("prepareThreshold"))
    return "0" not in off and given.get("prepare", "").lower() not in NO


def _whole(given: Mapping[str, str], name: str, *, most: int) -> int | None:
    """A positive number; None if it is missing or 0, which means no limit in other clients."""
    text = given.get(name, "")
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(most))):
        raise StartupError(f"{VARIABLE}: expected {name}= and a number up to {most}")
    return min(int(text), most) or None


def _default_port() -> int:
    text = os.environ.get("PGPORT", "")
    return int(text) if text.isdecimal() else 5432


def _user() -> str | None:
    """The name of the process's user, which may have none in a container. Raises StartupError."""
    if os.environ.get("PGUSER"):
        return None
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise StartupError(
            "DATABASE_URL: name the user, as in postgresql://user:password@host/name"
        ) from None
