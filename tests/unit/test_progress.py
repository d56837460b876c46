"""How far long work is, in words and as a bar."""

import io
import re
from collections.abc import Callable

import pytest

from happy.adapters.progress import Lines
from happy.cli.progress import ProgressBar, line
from happy.domain.progress import Pace, Step
from tests.support.until import until

LONG = 10**9


def words(step: Step, seconds: float) -> list[str]:
    """Of a step that began with nothing done, so long ago."""
    pace = Pace()
    pace.begin(step._replace(done=0), 0)
    return pace.words(step, seconds)


@pytest.mark.parametrize(
    ("step", "seconds", "shown"),
    [
        (Step("reading", 420, 1_000), 2, ["42 %", "420 of 1,000 rows", "210 rows/s", "0:02 left"]),
        (
            Step("reading", 5_000_000, 20_000_000, "byte"),
            5,
            ["25 %", "5.0 MB of 20.0 MB", "1.0 MB/s", "0:15 left"],
        ),
        (Step("looking", 1_200, None, "file"), 3, ["1,200 files", "400 files/s", "0:03"]),
        (Step("schema 0012 of 0014", 1, 3, "step"), 65, ["33 %", "1 of 3 steps", "1:05"]),
        (Step("copying the database"), 9, ["0:09"]),
        (Step("reading", 0, 1_000), 7, ["0 %", "0 of 1,000 rows", "0:07"]),
        (Step("reading", 1, 1), 1, ["99 %", "1 of 1 row", "1 row/s", "0:00 left"]),
    ],
    ids=["rows", "bytes", "no total", "steps", "time alone", "nothing yet", "one"],
)
def test_progress_has_its_share_amount_rate_and_time_left(
    step: Step, seconds: float, shown: list[str]
) -> None:
    assert shown == words(step, seconds)


def test_a_total_that_was_an_estimate_is_not_exceeded() -> None:
    assert ["1,200 rows", "600 rows/s", "0:02"] == words(Step("writing rows", 1_200, 1_000), 2)
    assert Pace().share(Step("writing rows", 1_000, 1_000)) == pytest.approx(0.99)


def test_each_step_has_a_pace_of_its_own() -> None:
    pace = Pace()
    pace.begin(Step("checking", 0, 100), 0)
    assert not pace.is_at(Step("restoring", 0, 100))
    pace.begin(Step("restoring", 10, 100), 50)

    assert ["30 %", "30 of 100 rows", "10 rows/s", "0:07 left"] == pace.words(Step("restoring", 30, 100), 52)


@pytest.mark.parametrize("width", [30, 50, 79, 200])
def test_a_bar_is_never_wider_than_the_terminal(width: int) -> None:
    step = Step("restoring files", 48, 100)
    shown = line(step, ["48 %", "48 of 100 rows"], 0.48, width)

    assert len(shown) <= width
    assert shown.startswith("restoring files  ")
    bar = re.search(r"\[(#*)( *)\]", shown)
    assert (bar is not None) == (width >= 50)
    if bar is not None:
        assert abs(len(bar[1]) / (len(bar[1]) + len(bar[2])) - 0.48) < 0.15


async def test_a_pipe_gets_lines_and_nothing_that_moves_the_cursor() -> None:
    stream = io.StringIO()
    with ProgressBar(stream, line_after=0.01) as progress:
        progress(Step("checking rows and files", 1_000_000, 4_000_000, "byte"))
        await until(lambda: stream.getvalue().count("\n") > 1)

    assert re.fullmatch(r"(checking rows and files: 25 %, 1\.0 MB of 4\.0 MB, 0:00\n)+", stream.getvalue())


def test_short_work_shows_nothing_in_a_pipe() -> None:
    stream = io.StringIO()
    with ProgressBar(stream) as progress:
        progress(Step("checking rows and files", 1, 4))
        progress.end()

    assert "" == stream.getvalue()


def test_what_failed_leaves_no_half_line() -> None:
    """The reason of the failure was printed behind the progress."""
    stream = Terminal()

    def fail() -> None:
        with ProgressBar(stream, first_after=0.0) as progress:
            progress(Step("writing rows", 1, 4))
            wait(lambda: "writing rows" in stream.getvalue())
            raise OSError("disk")

    with pytest.raises(OSError, match="disk"):
        fail()
    assert stream.getvalue().endswith("\r\033[K")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def wait(condition: Callable[[], bool]) -> None:
    import asyncio

    asyncio.run(until(condition))


def test_the_log_of_a_server_has_a_line_now_and_then() -> None:
    written: list[str] = []
    lines = Lines(written.append, first_after=0.0)
    lines(Step("schema 0002 of 0003", 0, 2, "step"))
    lines(Step("schema 0003 of 0003", 1, 2, "step"))

    assert ["schema 0002 of 0003: 0 %, 0 of 2 steps, 0:00"] == written
