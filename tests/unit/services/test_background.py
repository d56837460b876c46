"""Jobs that repeat, also after they failed."""

import asyncio
import logging

import pytest

from happy.services import background
from happy.services.background import repeat


class Job:
    """Fails as often as it is told to, and can be waited for."""

    def __init__(self, failures: int = 0) -> None:
        self.runs = 0
        self._failures = failures
        self._ran = asyncio.Condition()

    async def __call__(self) -> None:
        async with self._ran:
            self.runs += 1
            self._ran.notify_all()
        if self.runs <= self._failures:
            raise ValueError(self.runs)

    async def reaches(self, runs: int) -> None:
        async with asyncio.timeout(10), self._ran:
            await self._ran.wait_for(lambda: self.runs >= runs)


async def stop(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_job_repeats() -> None:
    job = Job()
    task = asyncio.create_task(repeat("job", 0, job))
    await job.reaches(5)
    await stop(task)


@pytest.mark.parametrize(("at_once", "runs"), [(True, 1), (False, 0)])
async def test_a_job_may_begin_at_once(at_once: bool, runs: int) -> None:
    job = Job()
    task = asyncio.create_task(repeat("job", 3600, job, at_once=at_once))
    for _ in range(5):
        await asyncio.sleep(0)

    assert runs == job.runs
    await stop(task)


async def test_a_job_that_fails_is_logged_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "FIRST_PAUSE", 0.0)
    job = Job(failures=3)
    task = asyncio.create_task(repeat("the job", 0, job, at_once=True))
    await job.reaches(6)
    await stop(task)
    warnings = [record for record in caplog.records if record.levelno == logging.WARNING]

    assert ["background job failed: the job"] * 3 == [record.getMessage() for record in warnings]
    assert all(record.exc_info for record in warnings)


@pytest.mark.parametrize(
    ("failures", "shortest", "longest"),
    [(1, 0.25, 0.32), (2, 0.5, 0.63), (4, 2.0, 2.5), (6, 8.0, 10.0), (7, 8.0, 10.0), (5_000, 8.0, 10.0)],
)
def test_the_pause_after_failures_grows_to_ten_seconds(
    failures: int, shortest: float, longest: float
) -> None:
    pauses = [background._pause(failures) for _ in range(50)]

    assert shortest <= min(pauses)
    assert max(pauses) <= longest
    assert 1 < len(set(pauses))
