"""Settings of the full flavor: PostgreSQL, Redis, and an object store or a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from msgspec.structs import asdict, replace

from happy.settings.common import read_common
from happy.settings.environ import Variables
from happy.settings.model import ADDRESSINGS, S3, Addressing, Full, SettingsError

POSTGRES: Final = ("postgresql://", "postgres://")


def read_full(variables: Variables) -> Full:
    secret = variables.secret("HANDY_MASTER_SECRET")
    if secret is None:
        raise SettingsError("HANDY_MASTER_SECRET is required")
    database_url = variables.credential("DATABASE_URL")
    if database_url is None or not database_url.startswith(POSTGRES):
        raise SettingsError(
            "DATABASE_URL: expected postgresql://user:password@host/database for the full flavor"
        )
    redis_url = variables.credential("REDIS_URL")
    if redis_url is not None and not redis_url.startswith(("redis://", "rediss://", "unix://")):
        raise SettingsError("REDIS_URL: expected redis://host:6379")
    return Full(
        **asdict(read_common(variables)),
        secret=secret,
        database_url=database_url,
        redis_url=redis_url,
        redis_authority=variables.folder("HAPPY_REDIS_CA_FILE"),
        postgres_connections=variables.count("HAPPY_POSTGRES_CONNECTIONS"),
        shutdown_seconds=variables.count("HAPPY_SHUTDOWN_SECONDS") or 20,
        files=_s3(variables) or (variables.folder("DATA_DIR") or Path("data").absolute()) / "files",
    )


def read_bucket(environ: Mapping[str, str], bucket: str) -> S3:
    """Another bucket of the object store that the variables name, to be read. Raises SettingsError."""
    variables = Variables(environ)
    return _bucket(variables, str(variables.required("S3_HOST")), bucket)


def _s3(variables: Variables) -> S3 | None:
    host = variables.text("S3_HOST")
    if host is None:
        return None
    store = _bucket(variables, host, str(variables.required("S3_BUCKET")))
    return replace(store, public_url=str(variables.required("S3_PUBLIC_URL")).rstrip("/"))


def _bucket(variables: Variables, host: str, bucket: str) -> S3:
    """Without the URL that clients read public files from."""
    return S3(
        host=host,
        port=variables.port("S3_PORT"),
        use_ssl=variables.text("S3_USE_SSL") in (None, "true"),
        region=variables.text("S3_REGION") or "us-east-1",
        bucket=bucket,
        access_key=variables.required("S3_ACCESS_KEY"),
        secret_key=variables.required("S3_SECRET_KEY"),
        public_url="",
        public_endpoint=variables.web_address("HAPPY_S3_PUBLIC_ENDPOINT"),
        addressing=_addressing(variables),
        authority=variables.folder("HAPPY_S3_CA_FILE"),
    )


def _addressing(variables: Variables) -> Addressing | None:
    if variables.text("HAPPY_S3_ADDRESSING") is None:
        return None
    return variables.choice("HAPPY_S3_ADDRESSING", ADDRESSINGS, "path")
