"""A database with rows that refer to none is backed up without them, and says so; the backup is good."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from happy.adapters.archive.rows import RowFormat
from happy.adapters.archive.writing import Backup
from happy.adapters.backups import verify
from happy.adapters.disk_files import DiskFiles
from happy.domain.progress import silent
from tests.contract.test_older_archives import HEADER
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.every_table import ROWS, EveryTable

pytestmark = pytest.mark.slow


class WithoutASession(EveryTable):
    """As after a program that deleted one and nothing else."""

    async def rows(self, table: RowFormat) -> AsyncIterator[list[Sequence[Any]]]:
        async for rows in super().rows(table):
            yield rows[1:] if table.name == "Session" else rows


async def test_a_backup_leaves_out_what_refers_to_nothing_says_so_and_is_restored(
    environment: Environment, tmp_path: Path
) -> None:
    archive = tmp_path / "backup.tar.zst"
    with archive.open("wb") as file:
        files = DiskFiles(tmp_path / "files", "")
        manifest, _ = await Backup(file, HEADER, silent).write(WithoutASession(), files, None)

    assert [
        "1 row of AccessKey left out: no such row of Session",
        "1 row of SessionMessage left out: no such row of Session",
        "1 row of UsageReport lost that reference: no such row of Session",
    ] == sorted(map(str, manifest.dangling))
    counts = {name: manifest.tables[name].rows for name in ("SessionMessage", "UsageReport", "Account")}
    assert {"SessionMessage": ROWS - 1, "UsageReport": ROWS, "Account": ROWS} == counts
    await asyncio.to_thread(verify, archive)
    verified = await command(environment, "verify", str(archive))
    restored = await command(environment, "restore", str(archive))
    assert (0, 0) == (verified.code, restored.code), (verified, restored)
    for shown in (verified.err, restored.err):
        assert "warning: 1 row of SessionMessage left out" in shown


async def test_such_a_database_is_backed_up_with_a_warning(tmp_path: Path) -> None:
    """A light one, for PostgreSQL keeps references itself."""
    data = tmp_path / "data"
    one = Environment("light", {"HAPPY_SERVER_LIGHT_DATA_DIR": str(data), "HANDY_MASTER_SECRET": "x" * 20})
    assert 0 == (await command(one, "migrate")).code
    with closing(sqlite3.connect(data / "happy-server-light.sqlite", isolation_level=None)) as db:
        db.execute(
            """INSERT INTO "SessionMessage" (id, "sessionId", seq, content, "createdAt", "updatedAt")
            VALUES ('m', 'gone', 1, '{}', 1, 1)"""
        )

    made = await command(one, "backup", str(tmp_path / "made"), "--json")

    expected = {"table": "SessionMessage", "parent": "Session", "rows": 1, "emptied": False}
    assert [expected] == made.json["dangling"]
    assert "warning: 1 row of SessionMessage left out" in made.err
    assert 0 == (await command(one, "verify", str(tmp_path / "made"), "--deep")).code
