"""The table of known defects says what is true: every row is there, every test it names exists."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "docs" / "defects.md").read_text("utf-8")
ROWS = re.findall(r"^\| ([A-F]\d+) \| [^|]+ \| ([^|]+) \| (.+) \|$", TABLE, re.MULTILINE)
LENGTHS = {"A": 12, "B": 21, "C": 23, "D": 20, "E": 18, "F": 14}
OUTCOMES = {"done", "kept", "not done", "full flavor"}


def test_every_known_defect_is_decided() -> None:
    assert [f"{part}{number}" for part, last in LENGTHS.items() for number in range(1, last + 1)] == [
        name for name, _, _ in ROWS
    ]
    assert set() == {outcome for _, outcome, _ in ROWS} - OUTCOMES


def test_what_is_done_names_a_test_that_exists() -> None:
    existing = {
        name
        for file in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", file.read_text("utf-8"))
    }

    assert [] == [name for name, outcome, why in ROWS if outcome == "done" and "`test_" not in why]
    assert set() == set(re.findall(r"`(test_\w+)`", TABLE)) - existing


def test_what_real_use_showed_is_in_the_table() -> None:
    cases = {
        name
        for file in (ROOT / "tests" / "field").rglob("test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text("utf-8"), re.MULTILINE)
    }

    assert set() == cases - set(re.findall(r"`(test_\w+)`", TABLE))
