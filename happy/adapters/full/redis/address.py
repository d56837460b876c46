"""Parses REDIS_URL, as consoles and other clients write it, into arguments of the driver."""

import logging
import re
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct
from redis.asyncio.connection import (
    AbstractConnection,
    Connection,
    ConnectionPool,
    SSLConnection,
    UnixDomainSocketConnection,
)

from happy.adapters.full.url_parts import NO, YES, UrlParts, host_list, ignored, is_readable, split
from happy.domain.errors import StartupError
from happy.settings import Secret

VARIABLE: Final = "REDIS_URL"
CONNECT_SECONDS: Final = 3.0
PORT: Final = 6379
MAX_DATABASE: Final = 99_999

# Query parameters of various clients that have a meaning here.
FILES: Final = {"ssl_ca_certs": "ssl_ca_certs", "ssl_certfile": "ssl_certfile", "ssl_keyfile": "ssl_keyfile"}
UNDERSTOOD: Final = frozenset(
    {
        *("db", "user", "username", "password", "tls", "ssl", "ssl_cert_reqs", "ssl_check_hostname"),
        *("skip_verify", *FILES),
    }
)

# Known parameters that are ignored. Only these are logged: an unknown name may be part of a password.
FOREIGN: Final = frozenset(
    {
        *("family", "protocol", "timeout", "socket_timeout", "socket_connect_timeout", "socket_keepalive"),
        *("max_connections", "pool_size", "pool_timeout", "min_idle_conns", "max_retries", "dial_timeout"),
        *("read_timeout", "write_timeout", "health_check_interval", "retry_on_timeout", "decode_responses"),
        *("connectTimeout", "commandTimeout", "keyPrefix", "lazyConnect", "maxRetriesPerRequest", "name"),
        *(
            "enableReadyCheck",
            "enableOfflineQueue",
            "retryStrategy",
            "abortConnect",
            "clientName",
            "encoding",
        ),
        *("client_name", "virtual_host", "visibility_timeout", "fanout_prefix", "idle_timeout", "addr"),
        *("ssl_ciphers", "ssl_min_version", "uselibpqcompat", "connect_timeout", "pool_fifo", "read_only"),
    }
)
ECHO: Final = re.compile(r",? with args beginning with.*", re.DOTALL)
REMEDIES: Final = (
    ("certificate verify failed", "give the certificate of its authority (HAPPY_REDIS_CA_FILE)"),
    ("wrong version number", "it speaks no TLS there: take redis://"),
    ("record layer failure", "it speaks no TLS there: take redis://"),
    ("timeout connecting", "check host and port, and whether it speaks TLS (rediss://) or not (redis://)"),
    ("connection closed by server", "if it wants TLS, take rediss://"),
    ("connection reset by peer", "if it wants TLS, take rediss://"),
    ("connection lost", "if it wants TLS, take rediss://"),
    ("authentication required", "put user and password into REDIS_URL"),
    ("invalid username-password", "check user and password in REDIS_URL, and that they are percent-encoded"),
    ("without any password", "it knows no password: take them out of REDIS_URL"),
    ("db index is out of range", "it has fewer databases: take a lower number in REDIS_URL"),
)

log = logging.getLogger(__name__)


class RedisAddress(Struct, frozen=True, kw_only=True):
    """A host, or the path of a Unix socket."""

    host: str = "localhost"
    port: int = PORT
    path: str | None = None
    database: int = 0
    user: str | None = None
    password: Secret | None = None
    tls: dict[str, Any] | None = None
    """TLS arguments of the driver; None: no TLS."""

    ignored: str = ""

    @property
    def display(self) -> str:
        """The address without credentials, for logs and errors."""
        return f"{self.path or f'{self.host}:{self.port}'}/{self.database}"

    def pool(self, client_name: str | None = "happy-server") -> ConnectionPool:
        """A pool that makes connections; none is open yet."""
        kind: type[AbstractConnection]
        where: dict[str, Any]
        if self.path is not None:
            kind, where = UnixDomainSocketConnection, {"path": self.path}
        else:
            kind = Connection if self.tls is None else SSLConnection
            where = {"host": self.host, "port": self.port, "socket_keepalive": True, **(self.tls or {})}
        return ConnectionPool(
            connection_class=kind,
            protocol=2,
            socket_connect_timeout=CONNECT_SECONDS,
            client_name=client_name,
            db=self.database,
            username=self.user,
            password=None if self.password is None else str(self.password),
            **where,
        )

    def warn(self) -> None:
        """Log the parameters that are ignored; called once at the start."""
        if self.ignored:
            log.warning("%s: ignored %s, which this server does not support", VARIABLE, self.ignored)


def parse(url: str, authority: Path | None = None) -> RedisAddress:
    """`authority` is the CA file to trust. Raises StartupError."""
    scheme = url.strip().partition("://")[0]
    parts = split(VARIABLE, url)
    given = parts.query
    password = Secret(given["password"]) if given.get("password") else parts.password
    common: dict[str, Any] = {
        "user": given.get("user") or given.get("username") or parts.user,
        "password": password,
        "ignored": ignored(given, UNDERSTOOD, FOREIGN),
    }
    if scheme == "unix":
        if parts.hosts or not parts.path.strip("/"):
            raise StartupError(f"{VARIABLE}: expected unix:///path/of/redis.sock?db=0")
        return RedisAddress(path=parts.path, database=_database(given.get("db", "")), **common)
    hosts = host_list(VARIABLE, parts.hosts)
    if len(hosts) > 1:
        raise StartupError(f"{VARIABLE}: expected one host; Redis Cluster is not supported")
    host, port = hosts[0] if hosts else ("localhost", None)
    return RedisAddress(
        host=host or "localhost",
        port=port or PORT,
        database=_database(given.get("db") or parts.path.strip("/")),
        tls=_tls(given, authority) if _is_encrypted(scheme, parts) else None,
        **common,
    )


def _is_encrypted(scheme: str, parts: UrlParts) -> bool:
    flag = (parts.query.get("tls") or parts.query.get("ssl") or "").lower()
    return scheme == "rediss" if flag not in YES | NO else flag in YES


def _tls(given: Mapping[str, str], authority: Path | None) -> dict[str, Any]:
    """Accepts the parameters of redis-py, and `skip_verify` of go-redis."""
    found: dict[str, Any] = {name: given[name] for name in FILES if given.get(name)}
    if authority is not None:
        found["ssl_ca_certs"] = str(authority)
    for name, path in found.items():
        if not is_readable(path):
            setting = "HAPPY_REDIS_CA_FILE" if path == str(authority) else f"{VARIABLE}: {name}="
            raise StartupError(f"{setting} names a file that cannot be read: {path}")
    checks = given.get("ssl_cert_reqs", "").lower().removeprefix("cert_")
    if checks == "none" or given.get("skip_verify", "").lower() in YES:
        return {**found, "ssl_cert_reqs": ssl.CERT_NONE, "ssl_check_hostname": False}
    return {**found, "ssl_check_hostname": given.get("ssl_check_hostname", "").lower() not in NO}


def _database(text: str) -> int:
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and int(text[:6]) <= MAX_DATABASE):
        raise StartupError(f"{VARIABLE}: expected the number of a database, as in redis://host:6379/0")
    return int(text)


def explanation(error: BaseException) -> str:
    """The error and its remedy, in one line, without the command (and password) that some servers echo."""
    text = ECHO.sub("", " ".join(str(error).split())).rstrip(".") or "no answer"
    lower = text.lower()
    return text + next((f": {remedy}" for symptom, remedy in REMEDIES if symptom in lower), "")
