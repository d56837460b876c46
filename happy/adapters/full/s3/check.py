"""Checks at the start which features of S3 an object store has, and which rights the key has."""

import asyncio
import logging
import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import aiohttp
from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]
from msgspec import Struct

from happy.adapters.full.s3.client import (
    Style,
    authority_of,
    code_of,
    endpoint_of,
    one_line,
    open_client,
    public_endpoint_of,
    takes_host_style,
)
from happy.adapters.full.s3.uploads import delete, form, signed_put
from happy.domain.errors import StartupError
from happy.settings import S3

Method = Literal["POST", "PUT"]
MISSING = frozenset({"404", "NoSuchBucket", "NoSuchKey"})
KEY_UNKNOWN = frozenset({"401", "InvalidAccessKeyId", "SignatureDoesNotMatch", "Unauthorized"})
REFUSED = frozenset({"403", "AccessDenied", "AllAccessDisabled", "Forbidden"})
TROUBLE = frozenset({500, 502, 503, 504})
ATTEMPTS = 3
SECONDS = 60
PAUSE = 0.5
SIZE = 32
REDIRECTED, FORBIDDEN = 300, 403
OCTETS = {"Content-Type": "application/octet-stream"}
ALLOW = "allow this key to list, read, write and delete in it"
Request = AbstractAsyncContextManager[aiohttp.ClientResponse]

log = logging.getLogger(__name__)


class Problem(Struct, frozen=True):
    """Why a bucket cannot be used; `decided`: the other addressing style would not help."""

    text: str
    decided: bool = False


class Store(Struct, frozen=True):
    client: Any
    signer: Any
    """Signs requests that clients send, for the endpoint at which they reach the store."""

    uploads: Method


@asynccontextmanager
async def open_checked(settings: S3) -> AsyncIterator[Store]:
    """A store whose bucket is usable, with the styles and uploads it supports. Raises StartupError."""
    endpoint, public = endpoint_of(settings), public_endpoint_of(settings)
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(SECONDS):
                client, style = await _addressed(stack, settings, endpoint)
                uploads = await _try(client, settings)
        except (BotoCoreError, ClientError, aiohttp.ClientError, OSError) as error:
            raise StartupError(
                f"cannot use the object store {endpoint}: {one_line(error, settings)}"
            ) from None
        log.info(
            "object store checked",
            extra={"endpoint": endpoint, "bucket": settings.bucket, "addressing": style, "uploads": uploads},
        )
        signer = client
        if public is not None:
            signer = await stack.enter_async_context(open_client(settings, public, style))
        yield Store(client, signer, uploads)


async def _addressed(stack: AsyncExitStack, settings: S3, endpoint: str) -> tuple[Any, Style]:
    """A client with the bucket in the path or in the host: the configured style, or the first that works."""
    styles: list[Style] = ["path", "host"] if takes_host_style(settings, endpoint) else ["path"]
    if settings.addressing is not None:
        styles.sort(key=lambda style: style != settings.addressing)
    problems: list[Problem] = []
    for style in styles:
        trial = AsyncExitStack()
        client = await trial.enter_async_context(open_client(settings, endpoint, style))
        problem = await _list(client, settings, endpoint)
        if problem is None and settings.addressing in (None, style):
            await stack.enter_async_context(trial)
            return client, style
        await trial.aclose()
        if problem is None:
            raise StartupError(f"{problems[0].text}; HAPPY_S3_ADDRESSING={style} works")
        problems.append(problem)
        if problem.decided:
            break
    raise StartupError(problems[0].text)


async def _list(client: Any, settings: S3, endpoint: str) -> Problem | None:
    """List the bucket: the right to do so is needed, and unlike HEAD a refusal has a reason."""
    try:
        await client.list_objects_v2(Bucket=settings.bucket, Prefix="sessions/", MaxKeys=1)
    except ClientError as error:
        return _problem(error, settings, endpoint)
    except BotoCoreError as error:
        line = one_line(error, settings)
        return Problem(f"cannot reach the object store {endpoint} (S3_HOST): {line}{_ca_advice(line)}")
    return None


def _problem(error: ClientError, settings: S3, endpoint: str) -> Problem:
    code, line, bucket = code_of(error), one_line(error, settings), settings.bucket
    denied = f"S3_ACCESS_KEY and S3_SECRET_KEY give no access to the bucket {bucket!r} of {endpoint}: "
    if code in MISSING:
        return Problem(f"S3_BUCKET: the object store {endpoint} has no bucket {bucket!r}: create it")
    if code in KEY_UNKNOWN:
        return Problem(denied + line, decided=code == "InvalidAccessKeyId")
    if code in REFUSED:
        return Problem(denied + ALLOW)
    return Problem(f"the object store {endpoint} does not show its bucket {bucket!r}: {line}{_region(error)}")


def _ca_advice(line: str) -> str:
    distrusted = "certificate" in line.lower()
    return ": give the certificate of its authority (HAPPY_S3_CA_FILE)" if distrusted else ""


def _region(error: ClientError) -> str:
    headers = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    region = headers.get("x-amz-bucket-region") or error.response.get("Error", {}).get("Region")
    return f": set S3_REGION={region}" if region else ""


async def _try(client: Any, settings: S3) -> Method:
    """Upload, read and delete a file; returns the method by which clients upload. Raises StartupError."""
    key, content = f"sessions/.happy-server-{secrets.token_hex(8)}", secrets.token_bytes(SIZE)
    context = ssl.create_default_context(cafile=authority_of(settings))
    limit = aiohttp.ClientTimeout(total=20)
    connector = aiohttp.TCPConnector(ssl=context)
    async with aiohttp.ClientSession(connector=connector, timeout=limit, trust_env=False) as http:
        method = await _upload(http, client, settings, key, content)
        read = await client.generate_presigned_url(
            "get_object", Params={"Bucket": settings.bucket, "Key": key}
        )
        async with http.get(read) as response:
            readable = response.ok and await response.read() == content
    try:
        await delete(client, settings.bucket, [key])
        deletable = True
    except ClientError as error:
        if code_of(error) not in REFUSED:
            raise
        deletable = False
    lacking = [what for what, may in (("read", readable), ("delete", deletable)) if not may]
    if lacking:
        raise _denied(settings, " and ".join(lacking))
    return method


async def _upload(http: aiohttp.ClientSession, client: Any, settings: S3, key: str, content: bytes) -> Method:
    """POST with a form if the store supports it, else PUT."""
    ticket = await form(client, settings.bucket, key, SIZE)

    def post() -> Request:
        data = aiohttp.FormData(ticket["fields"])
        data.add_field("file", content, filename="blob")
        return http.post(ticket["url"], data=data)

    status, _ = await _with_retries(post)
    if status < REDIRECTED:
        return "POST"
    url = await signed_put(client, settings.bucket, key, SIZE)
    status, reason = await _with_retries(lambda: http.put(url, data=content, headers=OCTETS))
    if status < REDIRECTED:
        return "PUT"
    if status == FORBIDDEN:
        raise _denied(settings, "write")
    line = one_line(ValueError(reason[:200]), settings)
    raise StartupError(f"the object store takes uploads neither by POST nor by PUT: {status} {line}")


async def _with_retries(send: Callable[[], Request]) -> tuple[int, str]:
    """The status and the body of the response; retried after temporary errors."""
    for _ in range(ATTEMPTS - 1):
        async with send() as response:
            if response.status not in TROUBLE:
                return response.status, await response.text(errors="replace")
        await asyncio.sleep(PAUSE)
    async with send() as response:
        return response.status, await response.text(errors="replace")


def _denied(settings: S3, what: str) -> StartupError:
    return StartupError(
        f"S3_ACCESS_KEY and S3_SECRET_KEY may not {what} in the bucket {settings.bucket!r}: {ALLOW}"
    )
