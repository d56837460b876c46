"""A database file that goes away under a writer: nothing is acknowledged that a restart would not find."""

import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from happy.adapters.light import writer
from happy.adapters.light.file_guard import FileGuard
from happy.adapters.light.sqlite import connect
from happy.adapters.light.writer import Writer
from happy.domain.errors import Unavailable
from tests.support.until import until


class Kept:
    """A writer on a table of numbers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connect(path)
        self.connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)")
        self.guard = FileGuard(path)
        self.writer = Writer(self.connection, self.guard)

    async def insert(self, number: int) -> None:
        async def body() -> None:
            self.connection.execute("INSERT INTO numbers VALUES (?)", (number,))

        await self.writer.submit(body)

    def beside(self, suffix: str) -> Path:
        return self.path.with_name(self.path.name + suffix)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    kept = Kept(tmp_path / "numbers.sqlite")
    await kept.insert(1)
    yield kept
    await kept.writer.close()


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("how", ["deleted", "replaced"])
async def test_the_very_next_write_is_refused(kept: Kept, suffix: str, how: str) -> None:
    if how == "replaced":
        kept.beside(".other").write_bytes(b"")
        kept.beside(".other").replace(kept.beside(suffix))
    else:
        kept.beside(suffix).unlink()

    for number in (2, 3):
        with pytest.raises(Unavailable, match=rf"numbers.sqlite{suffix} was {how} while the server runs"):
            await kept.insert(number)


async def test_an_idle_writer_notices_by_itself_and_says_so_once(
    kept: Kept, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept.path.rename(kept.beside(".away"))
    await until(lambda: kept.guard.lost is not None)
    with pytest.raises(Unavailable):
        kept.writer.require_file()
    assert 1 == len(caplog.messages)
    assert caplog.messages[0].startswith(
        f"{kept.path} was deleted while the server runs: no writes are taken"
    )


async def test_a_file_that_is_put_back_takes_writes_again(kept: Kept) -> None:
    kept.path.rename(kept.beside(".away"))
    with pytest.raises(Unavailable):
        await kept.insert(2)
    kept.beside(".away").rename(kept.path)
    await until(lambda: kept.guard.lost is None)

    await kept.insert(3)


async def test_what_a_deleted_write_ahead_log_held_is_saved_at_once(kept: Kept) -> None:
    kept.beside("-wal").unlink()
    with pytest.raises(Unavailable):
        await kept.insert(2)

    copy = kept.beside(".copy")
    copy.write_bytes(kept.path.read_bytes())  # as a crash at this moment would leave it
    with closing(sqlite3.connect(copy)) as found:
        assert (1,) in found.execute("SELECT number FROM numbers").fetchall()


@pytest.mark.parametrize("how", ["an older copy", "another file", "nothing"])
async def test_what_is_written_into_the_file_is_noticed_and_stays_so(kept: Kept, how: str) -> None:
    older = kept.path.read_bytes()
    for number in (2, 3):
        with closing(connect(kept.path)) as other:  # each connection counts its changes of the header
            other.execute(f"CREATE TABLE other_{number} (number INTEGER)")
            other.execute("PRAGMA wal_checkpoint").fetchall()
        await kept.insert(number)
    await until(lambda: kept.guard.check() is None)
    whole = kept.path.read_bytes()
    assert whole[24:28] > older[24:28]

    kept.path.write_bytes({"an older copy": older, "another file": b"notes " * 2000, "nothing": b""}[how])
    await until(lambda: kept.guard.lost is not None)
    kept.path.write_bytes(whole)

    with pytest.raises(Unavailable, match=r"numbers.sqlite was overwritten while the server runs"):
        await kept.insert(4)


@pytest.mark.parametrize("accident", ["deleted", "replaced", "log deleted", "overwritten", "folder moved"])
async def test_one_look_after_a_commit_notices_the_same(kept: Kept, accident: str) -> None:
    folder = kept.path.parent
    os.utime(folder, (0, 0))  # nothing has been made or removed in it for long
    assert kept.guard.check() is None
    assert kept.guard.is_untouched()
    if accident == "deleted":
        kept.path.unlink()
    elif accident == "replaced":
        kept.beside(".other").write_bytes(b"")
        kept.beside(".other").replace(kept.path)
    elif accident == "log deleted":
        kept.beside("-wal").unlink()
    elif accident == "overwritten":
        kept.connection.execute("PRAGMA wal_checkpoint").fetchall()
        kept.guard.check()
        kept.path.write_bytes(b"notes " * 2000)
    else:
        folder.rename(folder.with_name("elsewhere"))

    assert not kept.guard.is_untouched()
    with pytest.raises(Unavailable):
        await kept.insert(2)


async def test_a_copy_of_the_same_run_is_noticed(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's change counter is the same in both: what was stored in between was lost without a word."""
    monkeypatch.setattr(writer, "COUNT_SECONDS", 0)

    async def stored(number: int) -> bytes:
        await kept.insert(number)
        kept.connection.execute("PRAGMA wal_checkpoint").fetchall()
        return kept.path.read_bytes()

    older, newer = await stored(2), await stored(3)
    assert older != newer
    assert kept.guard.check() is None
    kept.path.write_bytes(older)

    with pytest.raises(Unavailable, match=r"numbers.sqlite was overwritten while the server runs"):
        await kept.insert(4)


async def test_commits_count_once_a_second(kept: Kept) -> None:
    for number in range(2, 20):
        await kept.insert(number)

    assert [(1,)] == kept.connection.execute("PRAGMA user_version").fetchall()
