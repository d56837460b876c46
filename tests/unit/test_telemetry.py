"""Log lines are single, readable, complete, and free of credentials."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from happy.telemetry import (
    MAX_INFOS,
    MAX_LINE,
    MAX_WARNINGS,
    LineFormatter,
    LineLimit,
    configure,
    debug_log_file,
)


@pytest.fixture
def logging_restored() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("happy")
    handlers, levels = list(root.handlers), (root.level, ours.level)
    root.handlers.clear()
    yield
    for handler in root.handlers:
        handler.close()
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def line(message: str, *values: object, error: BaseException | None = None, **extra: object) -> str:
    info = (type(error), error, error.__traceback__) if error is not None else None
    record = logging.LogRecord("happy.gateway", logging.INFO, __file__, 1, message, values, info)
    record.created, record.msecs = 1_700_000_000.5, 500.0
    vars(record).update(extra)
    return LineFormatter().format(record)


def test_a_log_line_has_time_level_logger_and_message() -> None:
    expected = "2023-11-14T22:13:20.500Z info happy.gateway connected to 3 sockets account=cm1 took=0.5"

    assert expected == line("connected to %d sockets", 3, account="cm1", took=0.5)


def test_what_is_quoted_is_cut() -> None:
    shown = line("x" * 100_000, value="y" * 100_000, error=ValueError("z" * 100_000))

    assert len(shown) < MAX_LINE + 10
    assert shown.count("z") > 1_000


def limited(limit: LineLimit, *, count: int, level: int = logging.WARNING) -> list[logging.LogRecord]:
    records = [
        logging.LogRecord("happy.http", level, __file__, 1, "bad request", None, None) for _ in range(count)
    ]
    return [record for record in records if limit.filter(record)]


def test_each_place_writes_so_many_lines_a_minute_and_says_what_it_leaves_out() -> None:
    now = [0.0]
    limit = LineLimit(lambda: now[0])
    written = limited(limit, count=1_000)
    assert len(written) == MAX_WARNINGS
    assert written[-1].more == "left out for 60 s"  # type: ignore[attr-defined]

    now[0] = 61.0
    (after,) = limited(limit, count=1)
    assert after.left_out == 1_000 - MAX_WARNINGS  # type: ignore[attr-defined]


def test_debug_lines_are_all_written_as_they_were_asked_for() -> None:
    limit = LineLimit(lambda: 0.0)

    assert len(limited(limit, count=5_000, level=logging.DEBUG)) == 5_000
    assert len(limited(limit, count=5_000, level=logging.INFO)) == MAX_INFOS


def test_values_cannot_forge_a_line_or_a_field() -> None:
    shown = line("one\ntwo", text='x" y=1\nFAKE', empty="")

    assert shown.endswith('one two text="x\\" y=1\\nFAKE" empty=""')


def test_an_error_keeps_its_causes_on_the_same_line() -> None:
    nothing: dict[str, str] = {}
    try:
        try:
            nothing["inner"]
        except KeyError as inner:
            raise RuntimeError("outer\nline") from inner
    except RuntimeError as error:
        shown = line("failed", error=error)

    assert "\n" not in shown
    assert re.search(
        r'error="RuntimeError: outer\\nline" at="unit/test_telemetry\.py:\d+ test_an_error', shown
    )
    assert "cause=\"KeyError: 'inner'\"" in shown


def test_errors_that_cause_each_other_end() -> None:
    one, other = ValueError("one"), ValueError("other")
    one.__cause__, other.__cause__ = other, one

    assert 1 == line("failed", error=one).count("other")


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer s3cret-t0ken",
        "authorization=bearer s3cret-t0ken, next",
        "Basic s3cret-t0ken",
        "eyJhbGciOiJFZERTQSJ9.s3cret-t0ken.s3cret-t0ken",
        "eyJhbGciOiJFZERTQSJ9.s3cret-t0ken.",
        "postgresql://ada:s3cret-t0ken@db/happy",
        "redis://:s3cret-t0ken@cache",
    ],
)
def test_credentials_do_not_reach_the_log(text: str) -> None:
    shown = line("%s", text, again=text, error=ValueError(text))

    assert "s3cret" not in shown
    assert "***" in shown


@pytest.mark.usefixtures("logging_restored")
def test_debug_lines_appear_only_at_debug_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    logging.getLogger("happy.services").debug("detail")
    logging.getLogger("happy.services").info("news")
    configure("debug")
    logging.getLogger("happy.services").debug("asked for")

    assert ["news", "asked for"] == [
        text.split("services ")[1] for text in capsys.readouterr().out.splitlines()
    ]


@pytest.mark.usefixtures("logging_restored")
def test_libraries_log_warnings_and_above_even_at_debug_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug")
    logging.getLogger("aiosqlite").debug("executing INSERT with all its values")
    logging.getLogger("uvicorn.error").warning("odd request")

    assert ["odd request"] == [text.split("error ")[1] for text in capsys.readouterr().out.splitlines()]


@pytest.mark.usefixtures("logging_restored")
def test_a_copy_goes_to_a_file(tmp_path: Path) -> None:
    file = tmp_path / ".logs" / "today.log"
    configure("info", copy_to=file)
    logging.getLogger("happy").info("said")

    assert file.read_text().endswith("info happy said\n")


def test_the_copy_is_named_by_the_local_time_of_the_start() -> None:
    assert re.fullmatch(r"\.logs/\d\d-\d\d-\d\d-\d\d-\d\d\.log", str(debug_log_file(1_700_000_000)))


def test_an_extra_field_may_hold_anything() -> None:
    assert line("x", thing=SimpleNamespace(a=1)).endswith('thing="namespace(a=1)"')
