"""What a terminal shows while commands work for seconds: a bar, then what was done; a pipe none of it."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

import schema
from happy.cli.main import run
from happy.settings import DATABASE_NAME
from tests.support.terminal import Shown, on_terminal

pytestmark = pytest.mark.slow

MESSAGES = 250_000
"""A second of work, also on a fast machine."""
ACCOUNT = """
INSERT INTO "Account" ("id", "publicKey", "seq", "feedSeq", "createdAt", "updatedAt")
    VALUES ('a', 'AA', 0, 0, 1, 1);
"""
FILL = f"""{ACCOUNT}
INSERT INTO "Session" ("id", "tag", "accountId", "metadata", "metadataVersion", "agentStateVersion", "seq",
    "active", "lastActiveAt", "createdAt", "updatedAt")
    VALUES ('s', 's', 'a', 'm', 0, 0, {MESSAGES}, 0, 1, 1, 1);
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {MESSAGES})
INSERT INTO "SessionMessage" ("id", "sessionId", "seq", "content", "createdAt", "updatedAt")
    SELECT 'm' || n, 's', n, '{{"t":"encrypted","c":"' || hex(randomblob(40)) || '"}}', 1, 1 FROM numbers;
"""
TOKENS_AND_SESSIONS = """
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 6000)
INSERT INTO "ServiceAccountToken" ("id", "accountId", "vendor", "token", "createdAt", "updatedAt")
    SELECT 't' || n, 'a', 'v' || n, randomblob(60), 1, 1 FROM numbers;
WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < 300)
INSERT INTO "Session" ("id", "tag", "accountId", "metadata", "metadataVersion", "agentStateVersion", "seq",
    "active", "lastActiveAt", "createdAt", "updatedAt")
    SELECT 's' || n, 's' || n, 'a', 'm', 0, 0, 0, 0, 1, 1, 1 FROM numbers;
"""
CLEARED = "\r\033[K"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """A light server's folder with many messages, and no server."""
    folder = tmp_path_factory.mktemp("large")
    environ = {
        "HAPPY_SERVER_LIGHT_DATA_DIR": str(folder / "data"),
        "HANDY_MASTER_SECRET": "a secret for tests of commands",
    }
    assert 0 == run(["migrate"], environ)
    with closing(sqlite3.connect(folder / "data" / DATABASE_NAME)) as connection:
        connection.executescript(FILL)
    return environ


def bars(shown: Shown) -> dict[str, list[int]]:
    """The shares that were shown, by what was done."""
    found: dict[str, list[int]] = {}
    for doing, share in re.findall(r"([a-z]+ [a-z ]+?)  \[#* *\]  (\d+) %", shown.text):
        found.setdefault(doing, []).append(int(share))
    return found


def assert_bars(shown: Shown, *doing: str) -> None:
    """Each went on, in a line that was cleared before the summary."""
    assert 0 == shown.code, shown.text
    found = bars(shown)
    assert [] == [each for each in doing if each not in found], shown.text
    assert all(sorted(shares) == shares for shares in found.values())
    assert CLEARED not in shown.text.splitlines()[-1].rpartition(CLEARED)[2]


@pytest.mark.timeout(600)
def test_every_long_command_shows_a_bar_and_then_what_it_did(large: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.zst"
    other, third = ({**large, "HAPPY_SERVER_LIGHT_DATA_DIR": str(tmp_path / name)} for name in "bc")

    made = on_terminal(["backup", str(archive)], large)
    assert_bars(made, "writing rows")
    assert re.search(
        r"backup\.tar\.zst: 250,\d{3} rows and 0 files in [\d.]+ MB, after [\d.]+ s\r\n$", made.text
    )
    checked = on_terminal(["verify", str(archive)], large)
    assert_bars(checked, "checking rows and files")
    restored = on_terminal(["restore", str(archive)], other)
    assert_bars(restored, "checking rows and files", "restoring rows", "comparing rows")
    assert re.search(r"Restored 250,\d{3} rows of .* and compared them\.", restored.text)
    taken = on_terminal(["import", str(archive), "--yes"], third)
    assert_bars(taken, "restoring rows", "importing rows")
    exported = on_terminal(["export", "a", str(tmp_path / "one.tar.zst")], large)
    assert_bars(exported, "writing rows")
    assert re.search(r"\d+ rows/s  \d:\d\d left", taken.text)


def test_sealing_and_purging_many_show_a_bar(large: dict[str, str], tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    with closing(sqlite3.connect(folder / DATABASE_NAME)) as connection:
        connection.executescript((Path(schema.__file__).parent / "sqlite.sql").read_text())
        connection.executescript(ACCOUNT + TOKENS_AND_SESSIONS)
    environ = {**large, "HAPPY_SERVER_LIGHT_DATA_DIR": str(folder)}

    sealed = on_terminal(["secret", "rotate"], environ)
    assert_bars(sealed, "sealing vendor tokens")
    assert "(6,000 cannot be opened with the secrets named here)" in sealed.text
    purged = on_terminal(["purge", "--inactive-days", "9"], environ, "[y/N]: ", "y\n")
    assert re.search(r"removing what was deleted  [\d,]+ rows  [\d,]+ rows/s  \d:\d\d", purged.text)
    assert purged.text.endswith("All of it is removed.\r\n")


def test_json_is_all_that_a_long_command_prints_to_a_pipe(
    large: dict[str, str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert 0 == run(["backup", str(tmp_path / "backup.tar.zst"), "--json"], large)
    assert msgspec.json.decode(capfd.readouterr().out)["rows"] > MESSAGES
