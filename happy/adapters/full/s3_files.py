"""Uploaded files in an object store that speaks S3; clients move attachments to and from it by themselves."""

import asyncio
import base64
import hashlib
import mimetypes
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import IO, Any

import aioboto3  # type: ignore[import-untyped]
from aiobotocore.config import AioConfig  # type: ignore[import-untyped]
from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    ParamValidationError,
)

from happy.domain.errors import Invalid, NotFound, StartupError, TooLarge, Unavailable
from happy.domain.ports.filestore import StoredFile, UploadTicket
from happy.settings import S3

CHUNK = 256 * 1024
IN_MEMORY = 1024 * 1024
"""The size in bytes up to which an upload is collected in memory and not in a temporary file."""

OCTETS = "application/octet-stream"
UPLOAD_SECONDS = 900
DOWNLOAD_SECONDS = 900
CONNECT_SECONDS = 5
ANSWER_SECONDS = 20
ATTEMPTS = 3
PAGE = 1000
"""How many objects are listed and deleted with one request; no store takes more."""

CONNECTIONS = 32

MISSING = frozenset({"404", "NoSuchKey", "KeyTooLongError"})
REFUSED = frozenset({"401", "403", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"})


@asynccontextmanager
async def open_files(settings: S3) -> AsyncIterator["S3Files"]:
    """A store whose bucket is there for us. Raises StartupError."""
    async with AsyncExitStack() as stack:
        endpoint = endpoint_of(settings)
        client = await stack.enter_async_context(open_client(settings, endpoint))
        await _require_bucket(client, settings.bucket, endpoint)
        signer = client
        if settings.public_endpoint is not None:
            signer = await stack.enter_async_context(open_client(settings, settings.public_endpoint))
        yield S3Files(client, signer, settings.bucket, settings.public_url)


def endpoint_of(settings: S3) -> str:
    port = "" if settings.port is None else f":{settings.port}"
    return f"{'https' if settings.use_ssl else 'http'}://{settings.host}{port}"


@asynccontextmanager
async def open_client(settings: S3, endpoint: str) -> AsyncIterator[Any]:
    """Checksums and bucket names in the host are left out where they can be: not every store knows them."""
    session = aioboto3.Session(settings.access_key, settings.secret_key, region_name=settings.region)
    config = AioConfig(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=CONNECT_SECONDS,
        read_timeout=ANSWER_SECONDS,
        retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
        max_pool_connections=CONNECTIONS,
        proxies={},
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
    try:
        opening = session.client("s3", endpoint_url=endpoint, config=config)
        client = await opening.__aenter__()
    except (BotoCoreError, ValueError) as error:
        raise StartupError(f"cannot use the object store {endpoint}: {_line(error)}") from None
    try:
        client.meta.events.register("before-sign.s3.DeleteObjects", _add_md5)
        yield client
    finally:
        await opening.__aexit__(None, None, None)


async def _require_bucket(client: Any, bucket: str, endpoint: str) -> None:
    try:
        await client.head_bucket(Bucket=bucket)
    except ClientError as error:
        code = _code(error)
        if code in MISSING | {"NoSuchBucket"}:
            problem = f"S3_BUCKET: the object store {endpoint} has no bucket {bucket!r}: create it"
        elif code in REFUSED:
            problem = f"S3_ACCESS_KEY and S3_SECRET_KEY give no access to the bucket {bucket!r} of {endpoint}"
        else:
            problem = f"the object store {endpoint} does not show its bucket {bucket!r}: {_line(error)}"
        raise StartupError(problem) from None
    except BotoCoreError as error:
        raise StartupError(f"cannot reach the object store {endpoint} (S3_HOST): {_line(error)}") from None


@contextmanager
def map_errors() -> Iterator[None]:
    """The object store's errors in the words of the core."""
    try:
        yield
    except ParamValidationError as error:  # a key that cannot be one, such as an empty one
        raise NotFound from error
    except ClientError as error:
        if _code(error) in MISSING:
            raise NotFound from error
        raise Unavailable("the file store did not answer") from error
    except BotoCoreError as error:
        raise Unavailable("the file store did not answer") from error


class S3Files:
    """`signer` signs what clients send by themselves, for the endpoint under which they reach the store."""

    direct = True

    def __init__(self, client: Any, signer: Any, bucket: str, base_url: str) -> None:
        self._client = client
        self._signer = signer
        self._bucket = bucket
        self._base_url = base_url

    async def put(self, key: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        """One request with the complete object, which S3 stores whole or not at all."""
        with tempfile.SpooledTemporaryFile(IN_MEMORY) as file:
            size = await _fill(file, chunks, max_bytes)
            file.seek(0)
            content_type = mimetypes.guess_type(key)[0] or OCTETS
            with map_errors():
                await self._client.put_object(
                    Bucket=self._bucket, Key=key, Body=file, ContentLength=size, ContentType=content_type
                )
        return size

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        with map_errors():
            head = await self._client.head_object(Bucket=self._bucket, Key=key)
        size = int(head["ContentLength"])
        end = size if length is None else min(size, offset + length)
        return StoredFile(size, self._read(key, offset, end))

    async def delete_prefix(self, prefix: str) -> None:
        """Raises Invalid for a prefix that names nothing: everything is never meant."""
        if not prefix.strip("/"):
            raise Invalid("Invalid file key")
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE}
        )
        with map_errors():
            async for page in pages:
                keys = [{"Key": found["Key"]} for found in page.get("Contents", ())]
                if keys:
                    await self._delete(keys)

    async def upload_ticket(self, key: str, max_bytes: int) -> UploadTicket:
        """A form: all fields, then `file`."""
        with map_errors():
            form = await self._signer.generate_presigned_post(
                self._bucket,
                key,
                Fields={"bucket": self._bucket},
                Conditions=[["content-length-range", 0, max_bytes]],
                ExpiresIn=UPLOAD_SECONDS,
            )
        return UploadTicket(form["url"], "POST", form["fields"])

    async def download_url(self, key: str) -> str:
        with map_errors():
            url: str = await self._signer.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=DOWNLOAD_SECONDS
            )
        return url

    def public_url(self, key: str) -> str:
        return f"{self._base_url}/{key}"

    async def _delete(self, keys: list[dict[str, str]]) -> None:
        answer = await self._client.delete_objects(
            Bucket=self._bucket, Delete={"Objects": keys, "Quiet": True}
        )
        if answer.get("Errors"):
            raise Unavailable(f"the file store kept {len(answer['Errors'])} of {len(keys)} files")

    async def _read(self, key: str, offset: int, end: int) -> AsyncIterator[bytes]:
        """The request is made for the first piece that is asked for: what nobody reads needs no closing."""
        if offset >= end:
            return
        with map_errors():
            answer = await self._client.get_object(
                Bucket=self._bucket, Key=key, Range=f"bytes={offset}-{end - 1}"
            )
        body = answer["Body"]
        async with body:
            while offset < end:
                with map_errors():
                    chunk: bytes = await body.read(min(CHUNK, end - offset))
                if not chunk:
                    raise Unavailable("a file ended early")
                yield chunk
                offset += len(chunk)


async def _fill(file: IO[bytes], chunks: AsyncIterator[bytes], max_bytes: int) -> int:
    """Raises TooLarge as soon as there is more than `max_bytes`."""
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge
        if size > IN_MEMORY:
            await asyncio.to_thread(file.write, chunk)
        else:
            file.write(chunk)
    return size


def _add_md5(request: Any, **_: Any) -> None:
    """Many stores take a list of deletions only with this older kind of checksum."""
    digest = hashlib.md5(request.body, usedforsecurity=False).digest()
    request.headers["Content-MD5"] = base64.b64encode(digest).decode()


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _line(error: Exception) -> str:
    return " ".join(str(error).split())
