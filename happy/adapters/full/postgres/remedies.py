"""Advice for operators on errors of PostgreSQL, appended to the error of a failed start."""

import socket
import ssl

import asyncpg

from happy.adapters.full.postgres.errors import is_out_of_connections

REMEDIES: tuple[tuple[type[BaseException], str], ...] = (
    (
        asyncpg.InvalidPasswordError,
        "check user and password in DATABASE_URL, and that they are percent-encoded",
    ),
    (asyncpg.InvalidCatalogNameError, "create it, or name another one in DATABASE_URL"),
    (asyncpg.ReadOnlySQLTransactionError, "name the primary in DATABASE_URL, or make room on its disk"),
    (asyncpg.DiskFullError, "make room on its disk"),
    (
        ssl.SSLCertVerificationError,
        "give the certificate of its authority (sslrootcert=<file>), or take sslmode=require to trust any",
    ),
    (socket.gaierror, "check the host in DATABASE_URL"),
)
REMEDIES_BY_TEXT = (
    ("unsupported startup parameter", "behind a pooler, add pgbouncer=true to DATABASE_URL"),
    ("rejected SSL upgrade", "it has no TLS: take sslmode=disable"),
    ("no encryption", "it wants TLS: take sslmode=require"),
    ("SSL off", "it wants TLS: take sslmode=require"),
    ("is read-only", "name the primary in DATABASE_URL, or make room on its disk"),
    ("target attribute requirement", "none of the hosts is what target_session_attrs requires"),
)


def remedy(error: BaseException) -> str:
    """Advice for an error, with a leading colon; empty if there is none."""
    if is_out_of_connections(error):
        return ": raise its limit, or let replicas take fewer (HAPPY_POSTGRES_CONNECTIONS)"
    for kind, advice in REMEDIES:
        if isinstance(error, kind):
            return f": {advice}"
    text = str(error)
    return next((f": {advice}" for symptom, advice in REMEDIES_BY_TEXT if symptom in text), "")
