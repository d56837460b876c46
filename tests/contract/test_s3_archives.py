"""A backup in an object store is there as a whole or not at all."""

import asyncio
import io
from random import Random

import pytest

from happy.adapters.full.s3.archives import PART_BYTES, Archives, open_archives
from happy.domain.errors import StartupError
from happy.domain.progress import Step
from tests.support.object_store import ObjectStore

CONTENT = Random(3).randbytes(PART_BYTES + 1_000_000)


async def test_what_was_written_in_parts_is_read_as_it_was(object_store: ObjectStore) -> None:
    bucket = object_store.new_bucket()
    async with open_archives(object_store.settings(bucket)) as archives:
        async with archives.new("backups/one") as upload:
            for start in range(0, len(CONTENT), 300_000):
                await asyncio.to_thread(upload.write, CONTENT[start : start + 300_000])
        read, steps = io.BytesIO(), list[Step]()
        await archives.read_into(read, "backups/one", steps.append)
        listed = await archives.list("backups/")
        await archives.delete("backups/one")

        assert CONTENT == read.getvalue()
        assert (len(CONTENT), len(CONTENT)) == (steps[-1].done, steps[-1].total)
        assert [("backups/one", len(CONTENT))] == [(found.key, found.size) for found in listed]
        assert [] == await archives.list("")


async def fail(archives: Archives) -> None:
    async with archives.new("one") as upload:
        await asyncio.to_thread(upload.write, CONTENT)
        raise OSError("no rights")


async def test_what_was_begun_and_failed_leaves_nothing(object_store: ObjectStore) -> None:
    bucket = object_store.new_bucket()
    async with open_archives(object_store.settings(bucket)) as archives:
        with pytest.raises(OSError, match="no rights"):
            await fail(archives)
        await archives.abort_abandoned("")

    assert [] == object_store.keys(bucket)
    assert "Uploads" not in object_store.client.list_multipart_uploads(Bucket=bucket)


async def test_a_bucket_that_is_not_there_is_named_in_one_line(object_store: ObjectStore) -> None:
    with pytest.raises(StartupError, match="cannot use the bucket 'not-there' of http:"):
        async with open_archives(object_store.settings("not-there")):
            pass
