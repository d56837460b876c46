"""A backup of an older schema revision is migrated on its way into either flavor; of a newer one, refused."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from happy.adapters.archive.format import FORMAT, FORMAT_VERSION, Header, Manifest
from happy.adapters.archive.listing import Listing
from happy.adapters.archive.rows import RowSum, row_formats
from happy.adapters.archive.writing import ArchiveWriter, Backup
from happy.adapters.disk_files import DiskFiles
from happy.adapters.full.postgres import backup as postgres
from happy.adapters.light import backup as light
from happy.domain.progress import silent
from happy.settings import DATABASE_NAME
from schema.revisions import HEAD, REVISIONS
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.every_table import MOMENT, EveryTable

pytestmark = pytest.mark.slow

HEADER = Header(
    format=FORMAT,
    format_version=FORMAT_VERSION,
    server_version="0.0.9",
    schema_revision=HEAD,
    flavor="light",
    created_at=MOMENT,
    secret_fingerprint="",
    with_files=True,
)
TRIED = ("0001", "0003", "0008", "0012", REVISIONS[-2], HEAD)


async def write(path: Path, revision: str) -> Manifest:
    """As the version of that revision wrote it."""
    header = msgspec.structs.replace(HEADER, schema_revision=revision)
    with path.open("wb") as file:
        files = DiskFiles(path.parent / "files", "")
        manifest, _ = await Backup(file, header, silent).write(EveryTable(), files, None)
    return manifest


@asynccontextmanager
async def rows_of(environment: Environment) -> AsyncIterator[Any]:
    if environment.flavor == "light":
        folder = Path(environment.variables["HAPPY_SERVER_LIGHT_DATA_DIR"])
        async with light.open_rows(folder / DATABASE_NAME) as rows:
            yield rows
    else:
        async with postgres.open_rows(environment.variables["DATABASE_URL"]) as rows:
            yield rows


@pytest.mark.parametrize("revision", TRIED)
async def test_an_older_backup_is_migrated_while_it_is_restored(
    environment: Environment, revision: str, tmp_path: Path
) -> None:
    manifest = await write(tmp_path / "old.tar.zst", revision)

    restored = await command(environment, "restore", str(tmp_path / "old.tar.zst"))

    assert 0 == restored.code, restored
    checked = await command(environment, "schema-check")
    assert 0 == checked.code, checked
    async with rows_of(environment) as rows:
        for table in row_formats(revision):
            if table.name == "happy_AuditEntry":  # has one of the restore, too
                continue
            total = RowSum()
            async for batch in rows.rows(table):
                for row in batch:
                    total.add(table.digest(row))
            assert (total.rows, total.digest) == (
                manifest.tables[table.name].rows,
                manifest.tables[table.name].digest,
            ), table.name


async def test_an_older_backup_is_verified_and_made_into_a_file(
    environment: Environment, tmp_path: Path
) -> None:
    archive, file = tmp_path / "old.tar.zst", tmp_path / "made.sqlite"
    await write(archive, "0008")

    deep = await command(environment, "verify", str(archive), "--deep")
    made = await command(environment, "restore", str(archive), "--into-file", str(file))

    assert (0, 0) == (deep.code, made.code), (deep, made)
    assert "schema 0008" in deep.out


async def test_a_backup_of_a_newer_schema_is_refused_with_the_version_that_is_needed(
    environment: Environment, tmp_path: Path
) -> None:
    archive = tmp_path / "new.tar.zst"
    header = msgspec.structs.replace(HEADER, schema_revision="9999", server_version="7.8.9")
    await asyncio.to_thread(write_header_alone, archive, header)

    for arguments in (("verify", str(archive)), ("restore", str(archive))):
        refused = await command(environment, *arguments)
        assert 1 == refused.code
        assert f"it has schema 9999, and this version knows none after {HEAD}" in refused.err
        assert "use happy-server 7.8.9, which wrote it, or a later one" in refused.err


def write_header_alone(path: Path, header: Header) -> None:
    with path.open("wb") as file:
        writer = ArchiveWriter(file)
        writer.add("header.json", msgspec.json.encode(header))
        empty = Manifest(members=[], tables={}, files=0, file_bytes=0, listed_files=[], high_water_marks={})
        writer.close(empty, Listing())
