"""Uploaded files in an object store that speaks S3; clients upload and download attachments directly."""

import asyncio
import mimetypes
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import IO

from botocore.exceptions import (  # type: ignore[import-untyped]
    BotoCoreError,
    ClientError,
    ParamValidationError,
)

from happy.adapters.full.s3.check import Store, open_checked
from happy.adapters.full.s3.client import code_of
from happy.adapters.full.s3.uploads import delete, form, signed_put
from happy.domain.errors import Invalid, NotFound, TooLarge, Unavailable
from happy.domain.ports.filestore import ListedObject, StoredFile, UploadTicket
from happy.settings import S3

CHUNK = 256 * 1024
IN_MEMORY = 1024 * 1024
"""The size in bytes up to which an upload is collected in memory and not in a temporary file."""

OCTETS = "application/octet-stream"
DOWNLOAD_SECONDS = 900
PAGE = 1000
"""Objects that are listed and deleted with one request, the maximum of S3."""

MISSING = frozenset({"404", "NoSuchKey", "KeyTooLongError"})


@asynccontextmanager
async def open_files(settings: S3) -> AsyncIterator["S3Files"]:
    """A file store on a bucket that was checked. Raises StartupError."""
    async with open_checked(settings) as store:
        yield S3Files(store, settings.bucket, settings.public_url)


@contextmanager
def map_errors() -> Iterator[None]:
    """Translate errors of the object store into domain errors: NotFound, Unavailable."""
    try:
        yield
    except ParamValidationError as error:  # an invalid key, such as an empty one
        raise NotFound from error
    except ClientError as error:
        if code_of(error) in MISSING:
            raise NotFound from error
        raise Unavailable("the file store did not answer") from error
    except BotoCoreError as error:
        raise Unavailable("the file store did not answer") from error


class S3Files:
    direct = True

    def __init__(self, store: Store, bucket: str, base_url: str) -> None:
        self._client = store.client
        self._signer = store.signer
        self._uploads = store.uploads
        self._bucket = bucket
        self._base_url = base_url

    async def ping(self) -> None:
        """Always ready: clients transfer files without this server."""

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

    async def list_all(self) -> AsyncIterator[ListedObject]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, PaginationConfig={"PageSize": PAGE}
        )
        with map_errors():
            async for page in pages:
                for found in page.get("Contents", ()):
                    yield ListedObject(found["Key"], int(found["Size"]), found["ETag"].strip('"'))

    async def delete_prefix(self, prefix: str) -> None:
        """Raises Invalid for an empty prefix, which would delete everything."""
        if not prefix.strip("/"):
            raise Invalid("Invalid file key")
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE}
        )
        with map_errors():
            async for page in pages:
                keys = [found["Key"] for found in page.get("Contents", ())]
                if keys:
                    await delete(self._client, self._bucket, keys)

    async def upload_ticket(self, key: str, max_bytes: int, size: int | None = None) -> UploadTicket:
        """A form (all fields, then `file`), or a URL for a PUT."""
        with map_errors():
            if self._uploads == "PUT":
                exactly = max_bytes if size is None else size  # without a size, any would be taken
                return UploadTicket(await signed_put(self._signer, self._bucket, key, exactly), "PUT")
            made = await form(self._signer, self._bucket, key, max_bytes)
        return UploadTicket(made["url"], "POST", made["fields"])

    async def download_url(self, key: str) -> str:
        with map_errors():
            url: str = await self._signer.generate_presigned_url(
                "get_object", Params={"Bucket": self._bucket, "Key": key}, ExpiresIn=DOWNLOAD_SECONDS
            )
        return url

    def public_url(self, key: str) -> str:
        return f"{self._base_url}/{key}"

    async def _read(self, key: str, offset: int, end: int) -> AsyncIterator[bytes]:
        """Request the object with the first chunk: a file that is never read needs no closing."""
        if offset >= end:
            return
        with map_errors():
            response = await self._client.get_object(
                Bucket=self._bucket, Key=key, Range=f"bytes={offset}-{end - 1}"
            )
        body = response["Body"]
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
