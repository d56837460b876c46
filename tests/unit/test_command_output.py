"""What administration commands print."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import happy
from happy.cli.common import CommandFailed
from happy.cli.output import Output, moment, printable
from happy.domain.amounts import counted, duration, size
from happy.domain.values import Millis

ALWAYS_MANY = {"adapters/imports/values.py", "adapters/secrets.py"}
"""Numbers that are never one: of columns, and of more secrets than are allowed."""


def test_a_table_is_as_wide_as_its_cells_and_json_has_the_items(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"NAME": "ada", "SEEN": "-"}, {"NAME": "grace hopper", "SEEN": "now"}]
    items = [{"name": row["NAME"]} for row in rows]

    Output(as_json=False).listing(items, rows, nothing="none")
    assert "NAME          SEEN\nada           -\ngrace hopper  now\n" == capsys.readouterr().out
    Output(as_json=True).listing(items, rows, nothing="none")
    assert '[\n  {\n    "name": "ada"\n  },' in capsys.readouterr().out
    Output(as_json=False).listing([], [], nothing="none")
    assert "none\n" == capsys.readouterr().out
    Output(as_json=True).listing([], [], nothing="none")
    assert "[]\n" == capsys.readouterr().out


def test_what_clients_have_chosen_cannot_control_the_terminal() -> None:
    assert "a\ufffd[2Jb\ufffd" == printable("a\x1b[2Jb\n")


def test_times_are_in_utc() -> None:
    assert ("1970-01-01 00:00:01Z", "-") == (moment(Millis(1_999)), moment(None))


def test_bytes_are_shown_in_units_of_a_thousand() -> None:
    shown = [size(count) for count in (0, 999, 1_000, 1_549, 23_400_000, 812 * 10**9, 4_321 * 10**12)]
    assert ["0 B", "999 B", "1.0 kB", "1.5 kB", "23.4 MB", "812.0 GB", "4,321.0 TB"] == shown


def test_a_page_says_how_to_go_on(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=True).page(["one"], [{"ID": "one"}], nothing="none", after="one")
    Output(as_json=False).page([], [], nothing="none", after=None)

    assert ('[\n  "one"\n]\nnone\n', "There are more: add --after one\n") == capsys.readouterr()


@pytest.mark.parametrize("as_json", [False, True])
def test_nothing_destructive_is_done_unasked_without_a_terminal(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    output = Output(as_json=as_json)
    output.confirm(["It goes."], yes=True)
    with CliRunner().isolation(), pytest.raises(CommandFailed, match="nothing was done: add --yes"):
        output.confirm(["It goes."], yes=False)
    shown = capsys.readouterr()
    assert "It goes.\n" == (shown.err if as_json else shown.out)


def test_one_is_not_many() -> None:
    assert ["0 rows", "1 row", "1,234 rows"] == [counted(count, "row") for count in (0, 1, 1_234)]
    assert ["1 entry", "2 entries"] == [counted(count, "entry", "entries") for count in (1, 2)]


def test_durations_are_shown_as_clocks_show_them() -> None:
    assert ["0:07", "12:31", "3:00:59"] == [duration(seconds) for seconds in (7.9, 751, 10_859)]


def test_no_message_says_1_rows() -> None:
    """Write `counted(number, "row")`: it knows the singular."""
    package = Path(happy.__file__).parent
    counting = re.compile(
        r"\{[^{}]*(?::,|len\([^{}]*\))\} (?:[a-z]+ )?[a-z]+s\b|\{number\([^{}]*\)\} [a-z]+s\b"
    )
    assert [] == [
        f"{path.relative_to(package)}: {found[0]}"
        for path in sorted(package.rglob("*.py"))
        for found in counting.finditer(path.read_text())
        if path.relative_to(package).as_posix() not in ALWAYS_MANY
    ]
