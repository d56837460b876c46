"""Group commit: which jobs share one, and what happens when the database refuses it."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from happy.adapters.light.sqlite import connect
from happy.adapters.light.writer import MAX_BATCH, Writer, drive
from happy.domain.errors import Unavailable

Body = Callable[[], Awaitable[int]]


class Bench:
    """A writer on a table of numbers, which can be held up so that jobs queue behind it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.connection = connect(path, "NORMAL")
        self.connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY, filler BLOB)")
        self.statements: list[str] = []
        self.connection.set_trace_callback(self.statements.append)
        self.writer = Writer(self.connection)

    def insert(self, number: int, size: int = 0) -> Body:
        async def body() -> int:
            self.connection.execute("INSERT INTO numbers VALUES (?, zeroblob(?))", (number, size))
            return number

        return body

    async def together(self, *bodies: Body) -> list[int | BaseException]:
        """The outcomes of jobs that were all waiting when the thread became free."""
        started, free = threading.Event(), threading.Event()

        async def hold() -> int:
            started.set()
            assert free.wait(10)
            return 0

        holding = asyncio.create_task(self.writer.submit(hold))
        await asyncio.to_thread(started.wait, 10)
        jobs = [asyncio.create_task(self.writer.submit(body)) for body in bodies]
        await asyncio.sleep(0)
        self.statements.clear()
        free.set()
        await holding
        return await asyncio.gather(*jobs, return_exceptions=True)

    def stored(self) -> list[int]:
        """What another connection sees."""
        other = sqlite3.connect(self.path)
        try:
            return [number for (number,) in other.execute("SELECT number FROM numbers ORDER BY number")]
        finally:
            other.close()

    def commits(self) -> int:
        """Commits since the jobs of `together` began, without that of the job before them."""
        return self.statements.count("COMMIT") - 1


async def fail() -> int:
    raise ValueError("of this job alone")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "numbers.sqlite")
    yield made
    await made.writer.close()


async def test_jobs_that_wait_share_one_commit(bench: Bench) -> None:
    outcomes = await bench.together(*(bench.insert(number) for number in range(50)))

    assert list(range(50)) == outcomes == bench.stored()
    assert 1 == bench.commits()


async def test_a_job_that_fails_is_undone_alone(bench: Bench) -> None:
    async def insert_and_fail() -> int:
        await bench.insert(7)()
        return await fail()

    outcomes = await bench.together(bench.insert(1), insert_and_fail, bench.insert(7), bench.insert(2))

    assert [1, ValueError, 7, 2] == [
        outcome if isinstance(outcome, int) else type(outcome) for outcome in outcomes
    ]
    assert [1, 2, 7] == bench.stored()
    assert 1 == bench.commits()


async def test_a_batch_is_limited(bench: Bench) -> None:
    await bench.together(*(bench.insert(number) for number in range(MAX_BATCH + 1)))

    assert 2 == bench.commits()


async def test_no_caller_returns_before_the_commit(bench: Bench) -> None:
    async def look(number: int) -> list[int]:
        await bench.writer.submit(bench.insert(number))
        return bench.stored()

    seen = await asyncio.gather(*(look(number) for number in range(20)))

    assert all(number in stored for number, stored in enumerate(seen))


async def test_a_full_disk_fails_the_jobs_it_undid_and_the_writer_goes_on(bench: Bench) -> None:
    bench.connection.execute("PRAGMA max_page_count = 20")
    outcomes = await bench.together(bench.insert(1), bench.insert(2, size=500_000), bench.insert(3))
    kept = bench.stored()
    bench.connection.execute("PRAGMA max_page_count = 1000000")

    assert kept == [outcome for outcome in outcomes if isinstance(outcome, int)]
    assert isinstance(outcomes[1], Unavailable | sqlite3.OperationalError)
    assert 4 == await bench.writer.submit(bench.insert(4))


async def test_a_database_that_cannot_be_written_is_unavailable(bench: Bench) -> None:
    bench.connection.execute("PRAGMA busy_timeout = 1")
    other = sqlite3.connect(bench.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    outcomes = await asyncio.gather(
        *(bench.writer.submit(bench.insert(number)) for number in range(3)), return_exceptions=True
    )
    other.execute("ROLLBACK")
    other.close()

    assert [Unavailable] * 3 == [type(outcome) for outcome in outcomes]
    assert 5 == await bench.writer.submit(bench.insert(5))
    assert [5] == bench.stored()


async def test_closing_commits_what_waits_and_can_be_repeated(bench: Bench) -> None:
    jobs = [asyncio.create_task(bench.writer.submit(bench.insert(number))) for number in range(20)]
    await asyncio.sleep(0)
    await bench.writer.close()
    await bench.writer.close()

    assert list(range(20)) == await asyncio.gather(*jobs) == bench.stored()
    with pytest.raises(Unavailable):
        await bench.writer.submit(bench.insert(21))


def test_a_body_that_never_suspends_is_driven_to_its_result() -> None:
    async def body() -> str:
        return "result"

    assert "result" == drive(body())


def test_a_body_that_suspends_is_closed() -> None:
    closed = False

    async def body() -> None:
        nonlocal closed
        try:
            await asyncio.sleep(0)
        finally:
            closed = True

    with pytest.raises(RuntimeError, match="nothing but its transaction"):
        drive(body())
    assert closed
