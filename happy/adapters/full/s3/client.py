"""Clients of an S3 object store, which ignore AWS variables, profiles and configuration files."""

import base64
import hashlib
import ipaddress
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from aiobotocore.session import AioSession  # type: ignore[import-untyped]
from botocore.configprovider import (  # type: ignore[import-untyped]
    BOTOCORE_DEFAUT_SESSION_VARIABLES,
    ConfigValueStore,
    ConstantProvider,
)
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from happy.adapters.full.url_parts import is_readable
from happy.domain.errors import StartupError
from happy.settings import S3

CONNECT_SECONDS = 5
READ_SECONDS = 20
ATTEMPTS = 3
CONNECTIONS = 32
log = logging.getLogger(__name__)
Style = Literal["path", "host"]

# Files and profiles of other programs on this machine, which must not be read.
IGNORED_CONFIGURATION: Final = ("config_file", "credentials_file", "profile", "ca_bundle", "data_path")


def endpoint_of(settings: S3) -> str:
    """The endpoint for this server. S3_HOST may contain a scheme and the bucket, as consoles show it."""
    given = settings.host if "://" in settings.host else f"//{settings.host}"
    try:
        parts = urlsplit(given)
        port = settings.port or parts.port
    except ValueError:
        raise _unusable("S3_HOST") from None
    if "@" in given or parts.query or parts.fragment or parts.path.strip("/") not in ("", settings.bucket):
        raise _unusable("S3_HOST")
    scheme = parts.scheme or ("https" if settings.use_ssl else "http")
    host = (parts.hostname or "").removeprefix(f"{settings.bucket.lower()}.")
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}" + ("" if port is None else f":{port}")


def public_endpoint_of(settings: S3) -> str | None:
    """The endpoint for clients, if it differs. Raises StartupError."""
    for name, address in (
        ("HAPPY_S3_PUBLIC_ENDPOINT", settings.public_endpoint),
        ("S3_PUBLIC_URL", settings.public_url),
    ):
        if address is not None and "@" in _split(address, name).netloc:
            raise StartupError(
                f"{name}: expected an address without user and password: clients get to see it"
            )
    return settings.public_endpoint


def warn_of_tokens(settings: S3, server: str | None) -> None:
    """Warn of an endpoint that begins with PUBLIC_URL: clients send their token there, too."""
    address = settings.public_endpoint or endpoint_of(settings)
    if server is not None and address.startswith(server):
        log.warning(
            "the object store's address %s begins with PUBLIC_URL: clients send their token there too,"
            " which stores refuse; give it another host name (HAPPY_S3_PUBLIC_ENDPOINT)",
            address,
        )


def _split(address: str, name: str) -> SplitResult:
    try:
        return urlsplit(address)
    except ValueError:
        raise _unusable(name) from None


def takes_host_style(settings: S3, endpoint: str) -> bool:
    """Whether the bucket can be part of the host name: an IP address has no subdomains."""
    try:
        ipaddress.ip_address(urlsplit(endpoint).hostname or "")
    except ValueError:
        return "." not in settings.bucket and settings.bucket == settings.bucket.lower()
    return False


@asynccontextmanager
async def open_client(settings: S3, endpoint: str, style: Style = "path") -> AsyncIterator[Any]:
    """A client without optional checksums, which some stores do not support. Raises StartupError."""
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path" if style == "path" else "virtual"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        proxies={},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    opening = _own_session().create_client(
        "s3",
        endpoint_url=endpoint,
        config=config,
        region_name=settings.region,
        aws_access_key_id=str(settings.access_key),
        aws_secret_access_key=str(settings.secret_key),
        verify=authority_of(settings) or True,
    )
    try:
        client = await opening.__aenter__()
    except (BotoCoreError, ValueError, OSError) as error:
        raise StartupError(f"cannot use the object store {endpoint}: {one_line(error, settings)}") from None
    try:
        client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
        yield client
    finally:
        await opening.__aexit__(None, None, None)


def authority_of(settings: S3) -> str | None:
    """The CA file to trust; None: public authorities. Raises StartupError."""
    if settings.authority is None:
        return None
    if not is_readable(str(settings.authority)):
        raise StartupError(f"HAPPY_S3_CA_FILE names a file that cannot be read: {settings.authority}")
    return str(settings.authority)


def _own_session() -> AioSession:
    """A session with every setting at its default: none from the environment, none from a file."""
    session = AioSession()
    defaults = {
        name: ConstantProvider(None if name in IGNORED_CONFIGURATION else usual)
        for name, (_, _, usual, _) in BOTOCORE_DEFAUT_SESSION_VARIABLES.items()
    }
    session.register_component("config_store", ConfigValueStore(mapping=defaults))
    return session


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def one_line(error: BaseException, settings: S3) -> str:
    """An error as one line, without the access keys, which a store may repeat."""
    line = " ".join(str(error).split())
    for secret in (settings.secret_key, settings.access_key):
        line = line.replace(secret, "***")
    return line


def _unusable(name: str) -> StartupError:
    """The value is not shown: it may contain a key."""
    return StartupError(
        f"{name}: expected the host of an object store, as in s3.example.org or https://host:9000"
    )


def _add_md5(request: Any, **_: Any) -> None:
    """Many stores accept DeleteObjects only with a Content-MD5 header."""
    digest = hashlib.md5(request.body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()
