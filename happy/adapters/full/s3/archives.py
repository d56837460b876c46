"""Backups in an object store: written in parts that become an object when all are there, read into a file."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import IO, Any, Final

from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

from happy.adapters.full.s3.client import (
    Style,
    endpoint_of,
    one_line,
    open_client,
    takes_host_style,
)
from happy.domain.errors import StartupError
from happy.domain.ports.filestore import ListedObject
from happy.domain.progress import Progress, Step
from happy.settings import S3

PART_BYTES: Final = 16 * 1024 * 1024
"""Stores take at most 10,000 parts, so that a backup has up to 160 GB; one part is in memory at a time."""

CHUNK: Final = 256 * 1024
ABANDONED_AFTER: Final = timedelta(days=1)
"""When an upload is given up that was begun by a process of which nothing is known."""


@asynccontextmanager
async def open_archives(settings: S3) -> AsyncIterator["Archives"]:
    """The bucket of the settings, reached in the style that works. Raises StartupError."""
    endpoint = endpoint_of(settings)
    styles: list[Style] = ["path", "host"] if takes_host_style(settings, endpoint) else ["path"]
    if settings.addressing is not None:
        styles = [settings.addressing]
    async with AsyncExitStack() as stack:
        for style in styles:
            trial = AsyncExitStack()
            client = await trial.enter_async_context(open_client(settings, endpoint, style))
            try:
                with map_errors(settings):
                    await client.list_objects_v2(Bucket=settings.bucket, MaxKeys=1)
            except StartupError:
                await trial.aclose()
                if style == styles[-1]:
                    raise
            else:
                await stack.enter_async_context(trial)
                yield Archives(client, settings)
                return


@contextmanager
def map_errors(settings: S3) -> Iterator[None]:
    """One line about the bucket, without keys. Raises StartupError."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        where = f"the bucket {settings.bucket!r} of {endpoint_of(settings)}"
        raise StartupError(f"cannot use {where}: {one_line(error, settings)}") from None


class Archives:
    """Objects of one bucket."""

    def __init__(self, client: Any, settings: S3) -> None:
        self._client = client
        self._settings = settings
        self._bucket = settings.bucket

    @asynccontextmanager
    async def new(self, key: str) -> AsyncIterator["Upload"]:
        """An object that is there when the block has ended without an error. Raises StartupError."""
        with map_errors(self._settings):
            begun = await self._client.create_multipart_upload(Bucket=self._bucket, Key=key)
        upload = Upload(self._client, self._bucket, key, begun["UploadId"])
        try:
            with map_errors(self._settings):
                yield upload
                await upload.finish()
        except BaseException:
            await self._abort(key, begun["UploadId"])
            raise

    async def list(self, prefix: str) -> list[ListedObject]:
        """Raises StartupError."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with map_errors(self._settings):
            return [
                ListedObject(found["Key"], int(found["Size"]), found["ETag"].strip('"'))
                async for page in pages
                for found in page.get("Contents", ())
            ]

    async def delete(self, key: str) -> None:
        """Raises StartupError."""
        with map_errors(self._settings):
            await self._client.delete_object(Bucket=self._bucket, Key=key)

    async def read_into(self, file: IO[bytes], key: str, progress: Progress) -> None:
        """Raises StartupError, or OSError."""
        with map_errors(self._settings):
            try:
                response = await self._client.get_object(Bucket=self._bucket, Key=key)
            except self._client.exceptions.NoSuchKey:
                raise StartupError(f"the bucket {self._bucket!r} has no {key!r}") from None
            body = response["Body"]
            async with body:
                while chunk := await body.read(CHUNK):
                    await asyncio.to_thread(file.write, chunk)
                    progress(Step("reading the object", file.tell(), response["ContentLength"], "byte"))

    async def abort_abandoned(self, prefix: str) -> None:
        """Give up what killed processes have begun: their parts take room and are not listed."""
        with suppress(BotoCoreError, ClientError):  # a right that not every key has
            found = await self._client.list_multipart_uploads(Bucket=self._bucket, Prefix=prefix)
            for upload in found.get("Uploads", ()):
                if upload["Initiated"] < datetime.now(UTC) - ABANDONED_AFTER:
                    await self._abort(upload["Key"], upload["UploadId"])

    async def _abort(self, key: str, upload_id: str) -> None:
        with suppress(BotoCoreError, ClientError, OSError):
            await self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=upload_id)


class Upload:
    """What is written by other threads than the event loop's goes there part by part."""

    def __init__(self, client: Any, bucket: str, key: str, upload_id: str) -> None:
        self._client = client
        self._upload: dict[str, Any] = {"Bucket": bucket, "Key": key, "UploadId": upload_id}
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._parts: list[dict[str, Any]] = []
        self.size = 0

    def write(self, data: bytes) -> int:
        """Blocks while a part is sent. Never called by the event loop's thread."""
        self._buffer += data
        self.size += len(data)
        if len(self._buffer) >= PART_BYTES:
            asyncio.run_coroutine_threadsafe(self._send(), self._loop).result()
        return len(data)

    def flush(self) -> None:
        """Nothing: what is in memory is sent with the next part."""

    async def finish(self) -> None:
        await self._send()
        await self._client.complete_multipart_upload(**self._upload, MultipartUpload={"Parts": self._parts})

    async def _send(self) -> None:
        """With a checksum, so that the store refuses a part that does not arrive as it was."""
        content, number = bytes(self._buffer), len(self._parts) + 1
        self._buffer.clear()
        checksum = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
        sent = await self._client.upload_part(
            **self._upload, PartNumber=number, Body=content, ContentMD5=checksum
        )
        self._parts.append({"ETag": sent["ETag"], "PartNumber": number})
