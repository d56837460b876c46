"""The log of clients under development: off by default, and limited in message size, rate and total."""

import logging
from pathlib import Path
from typing import Any

import pytest

from happy import telemetry
from happy.domain.errors import TooMany
from happy.domain.values import Millis
from happy.metrics import Metrics
from happy.services import developer_log
from happy.services.developer_log import (
    ENTRIES_PER_MINUTE,
    MAX_CHARACTERS,
    MAX_TOTAL_CHARACTERS,
    DeveloperLog,
)
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.server_thread import run_server

PATH = "/logs-combined-from-cli-and-mobile-for-simple-ai-debugging"
VARIABLE = "DANGEROUSLY_LOG_TO_SERVER_FOR_AI_AUTO_DEBUGGING"


def entry(**more: Any) -> dict[str, Any]:
    return {"timestamp": "t", "level": "info", "message": "it broke", "source": "cli", **more}


async def test_the_developer_log_is_off_by_default(anonymous: ApiClient) -> None:
    answer = await anonymous.post(PATH, entry(), expect=404)

    assert {"error": "Not found", "path": PATH, "method": "POST"} == answer


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("error", logging.ERROR),
        ("warn", logging.WARNING),
        ("warning", logging.WARNING),
        ("debug", logging.DEBUG),
        ("info", logging.INFO),
        ("anything", logging.INFO),
    ],
)
def test_an_entry_keeps_its_level(level: str, expected: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "happy.services.developer_log")
    DeveloperLog(lambda: Millis(0), Metrics()).write(level, "it broke", "mobile", "ios", "t")

    (record,) = caplog.records
    assert (expected, "it broke", "mobile", "ios") == (
        record.levelno,
        record.getMessage(),
        record.source,  # type: ignore[attr-defined]
        record.platform,  # type: ignore[attr-defined]
    )


async def test_b16_anybody_could_fill_the_disk(
    environment: Environment, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with run_server(environment, {VARIABLE: "1"}) as server:
        async with ApiClient(server.url) as client:
            raw = {"any": ["thing"]}
            done = await client.post(PATH, entry(platform="ios", messageRawObject=raw))
            await client.post(PATH, entry(message="x" * 70_000), expect=413)
            await client.post(PATH, entry(message="x" * 60_000))
            refused = [
                await client.post(PATH, wrong, expect=400)
                for wrong in ({}, entry(source="tv"), entry(message=5), entry(platform=None))
            ]
    written = [record for record in caplog.records if record.name == telemetry.DEVELOPER_LOG]

    assert {"success": True} == done
    assert {"Error"} == {answer["error"] for answer in refused}
    assert ["it broke", "x" * MAX_CHARACTERS] == [record.getMessage() for record in written]


async def test_b16_anybody_could_write_without_a_pause() -> None:
    log = DeveloperLog(lambda: Millis(0), Metrics())
    for _ in range(ENTRIES_PER_MINUTE):
        log.write("info", "", "cli", None, "t")

    with pytest.raises(TooMany) as refused:
        log.write("info", "", "cli", None, "t")
    assert 1 == refused.value.retry_after


async def test_b16_anybody_could_write_for_ever() -> None:
    minutes = iter(range(10**9))
    log = DeveloperLog(lambda: Millis(next(minutes) * 60_000), Metrics())
    for _ in range(MAX_TOTAL_CHARACTERS // (MAX_CHARACTERS + len("clit"))):
        log.write("debug", "x" * MAX_CHARACTERS, "cli", None, "t")

    with pytest.raises(TooMany):
        log.write("debug", "x" * MAX_CHARACTERS, "cli", None, "t")


def test_entries_go_to_the_file_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "logs" / "log"
    logger = logging.getLogger(telemetry.DEVELOPER_LOG)
    before = (logger.level, logger.handlers, logger.propagate)
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        telemetry.configure("warning", copy_to=file)
        DeveloperLog(lambda: Millis(0), Metrics()).write(
            "debug", "first\nsecond Bearer abc", "cli", None, "t"
        )
    finally:
        for handler in root.handlers:
            if handler not in handlers:
                handler.close()
        root.handlers = handlers
        root.setLevel(level)
        logging.getLogger("happy").setLevel(logging.NOTSET)
        logger.level, logger.handlers, logger.propagate = before

    assert "" == capsys.readouterr().out
    assert (
        " debug happy.services.developer_log first second Bearer *** source=cli sent=t\n" in file.read_text()
    )
    assert telemetry.DEVELOPER_LOG == developer_log.__name__
