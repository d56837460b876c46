"""The exit code of every command: 2 for a usage error, 1 and one line for what is refused."""

import asyncio
import time
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from happy.cli.main import run
from happy.settings import load
from tests.support.example_server import fill
from tests.support.rows import open_rows
from tests.unit.test_command import every_command

COMMANDS = [words for words, command in every_command().items() if not isinstance(command, click.Group)]
MALFORMED = {"PORT": "many"}
"""What every command refuses that reads the settings, those without another reason to refuse."""

REFUSED = {
    "serve": ("", MALFORMED),
    "migrate": ("", MALFORMED),
    "backup": ("{folder}/nowhere/", {}),
    "verify": ("{folder}/nothing", {}),
    "restore": ("{folder}/nothing", {}),
    "import": ("{folder}/nothing", {}),
    "export": ("nobody", {}),
    "schema-check": ("", MALFORMED),
    "new-secret": ("", {}),
    "secret status": ("", MALFORMED),
    "secret rotate": ("", MALFORMED),
    "secret replace": ("", {}),
    "secret forget": ("", {}),
    "accounts list": ("", MALFORMED),
    "accounts show": ("nobody", {}),
    "accounts sign-out": ("nobody", {}),
    "accounts disable": ("nobody", {}),
    "accounts enable": ("ada", {}),
    "accounts delete": ("nobody", {}),
    "accounts pending": ("", MALFORMED),
    "accounts approve": ("0000-0000", {}),
    "accounts refuse": ("0000-0000", {}),
    "tokens list": ("nobody", {}),
    "tokens revoke": ("nothing", {}),
    "sessions list": ("nobody", {}),
    "sessions show": ("nothing", {}),
    "sessions delete": ("nothing", {}),
    "machines list": ("nobody", {}),
    "machines show": ("nothing", {}),
    "machines delete": ("nothing", {}),
    "invites create": ("", MALFORMED),
    "invites list": ("", MALFORMED),
    "invites revoke": ("nothing", {}),
    "purge": ("", MALFORMED),
    "stats": ("", MALFORMED),
    "audit": ("", MALFORMED),
    "service install": ("--root {folder}", {}),
    "service show": ("", {"HAPPY_FLAVOR": "huge"}),
    "service uninstall": ("--root {folder}", {}),
    "version": ("--check --index http://127.0.0.1:1", {}),
}
"""Arguments and variables with which each is refused."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """A light server's folder with the accounts of the examples."""
    variables = {
        "HAPPY_SERVER_LIGHT_DATA_DIR": str(tmp_path / "data"),
        "HANDY_MASTER_SECRET": "a secret for tests of commands",
    }

    async def prepare() -> None:
        async with open_rows(load(variables, flavor="light")) as rows:
            await fill(rows, int(time.time()) * 1000)

    with CliRunner().isolation():
        assert 0 == run(["migrate"], variables)
    asyncio.run(prepare())
    return variables


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_option_that_a_command_does_not_have_is_a_usage_error(words: tuple[str, ...]) -> None:
    with CliRunner().isolation() as (output, errors, _):
        code = run([*words, "--frobnicate"], {})
        assert (2, b"") == (code, output.getvalue())
        assert b"Error: No such option '--frobnicate'." == errors.getvalue().splitlines()[-1]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_what_is_refused_is_one_line_and_exit_code_1(
    words: tuple[str, ...], environ: dict[str, str], tmp_path: Path
) -> None:
    """Add a new command to REFUSED, with arguments that it refuses."""
    unit = tmp_path / "etc" / "systemd" / "system" / "happy-server.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Unit]\nDescription=of somebody else\n")
    arguments, variables = REFUSED[" ".join(words)]
    with CliRunner().isolation() as (_, errors, _):
        code = run([*words, *arguments.format(folder=tmp_path).split()], {**environ, **variables})
        said = errors.getvalue().decode()
    assert (1, 1, True) == (code, said.count("\n"), said.startswith("happy-server: ")), said
