"""What is asked on a terminal, and what each answer does."""

import asyncio
import time
from pathlib import Path

import pytest

from happy.cli.main import run
from happy.settings import load
from tests.support.example_server import ADA, fill
from tests.support.rows import open_rows
from tests.support.terminal import on_terminal


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A light server's folder with the accounts of the examples."""
    variables = {"HAPPY_SERVER_LIGHT_DATA_DIR": str(tmp_path)}

    async def prepare() -> None:
        async with open_rows(load(variables, flavor="light")) as rows:
            await fill(rows, int(time.time()) * 1000)

    assert 0 == run(["migrate"], variables)
    asyncio.run(prepare())
    return variables


@pytest.mark.parametrize(
    ("keys", "code", "state"),
    [("y\n", 0, "disabled"), ("n\n", 1, "active"), ("\n", 1, "active"), ("\x04", 130, "active")],
    ids=["yes", "no", "return", "end of input"],
)
def test_only_a_yes_does_it(
    keys: str, code: int, state: str, environ: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    shown = on_terminal(["accounts", "disable", "ada"], environ, "[y/N]: ", keys)
    capsys.readouterr()
    assert 0 == run(["accounts", "show", ADA], environ)

    assert code == shown.code, shown.text
    assert "nobody can sign in to it, until it is enabled again." in shown.text
    assert f"state        {state}\n" in capsys.readouterr().out


def test_ctrl_c_at_a_question_did_nothing_until_it_was_answered(environ: dict[str, str]) -> None:
    shown = on_terminal(["accounts", "delete", "ada"], environ, "[y/N]: ", "\x03")

    assert 130 == shown.code
    assert "Traceback" not in shown.text
