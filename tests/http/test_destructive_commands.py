"""Nothing is destroyed unasked: without a terminal and `--yes` commands say what they would do, and end."""

import asyncio
import hashlib
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import click
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from happy.cli.main import run
from happy.settings import load
from schema.tables import metadata
from tests.support.environments import Environment, light_environment
from tests.support.example_server import DESKTOP, GRACE, INVITE, NEW, PHONE, fill
from tests.support.rows import open_rows
from tests.unit.test_command import every_command

EVERYBODYS = "/usr/bin/env"
"""Stands for an interpreter that a service may run, wherever these tests are."""

DESTROYING = {
    "backup": ("{folder}/old", "old is there already, with 3 B: it is replaced."),
    "export": ("ada {folder}/old", "old is there already, with 3 B: it is replaced."),
    "import": ("{folder}/other/happy-server-light.sqlite", "Account         2 new"),
    "new-secret": ("", "Every device has to sign in again."),
    "secret forget": ("", "devices that signed in before the secret was replaced have to sign in again"),
    "accounts sign-out": (GRACE, "are refused for ever."),
    "accounts disable": (GRACE, "nobody can sign in to it"),
    "accounts delete": ("ada", "is deleted for ever, with 3 sessions with 32 messages, 2 machines"),
    "tokens revoke": (PHONE, "is refused for ever."),
    "sessions delete": (NEW, "is deleted for ever, with 12 messages."),
    "machines delete": (DESKTOP, "is deleted for ever, with 0 access keys."),
    "invites revoke": (INVITE, "lets nobody in any more"),
    "purge": ("--inactive-days 100", "sessions inactive for 100 days             1 with 0 messages"),
    "service install": ("--root {folder}", "Writes /etc/systemd/system/happy-server.service"),
    "service uninstall": ("--root {folder}/installed", "removes /etc/systemd/system/happy-server.service."),
}
"""Arguments of each command that destroys something or asks, and what it says of it."""

LIGHT_ONLY = {"secret forget"}
COUNTS_ONLY = {"purge"}
"""What without a terminal is no refusal: its numbers are the answer."""


def filled(environment: Environment, *, with_accounts: bool = True) -> None:
    async def prepare() -> None:
        async with open_rows(load(environment.variables, flavor=environment.flavor)) as rows:
            await fill(rows, int(time.time()) * 1000)

    with CliRunner().isolation():
        assert 0 == run(["migrate", "--flavor", environment.flavor], environment.variables)
    if with_accounts:
        asyncio.run(prepare())


async def everything(environment: Environment) -> dict[str, Any]:
    """All rows of all tables, but for what only says that somebody looked."""
    async with open_rows(load(environment.variables, flavor=environment.flavor)) as rows:
        return {
            table.name: sorted(map(repr, await rows(sa.select(table)))) for table in metadata.sorted_tables
        }


def files_below(folder: Path) -> dict[str, str]:
    """Digests by name, without the database, which is looked at by its rows."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "sqlite" not in path.name
    }


@pytest.mark.parametrize("words", DESTROYING)
def test_nothing_is_destroyed_unasked(
    words: str, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", EVERYBODYS)
    if words in LIGHT_ONLY and environment.flavor == "full":
        pytest.skip("its secrets are variables")
    if words.startswith("service") and (os.geteuid() or not shutil.which("systemd-sysusers")):
        pytest.skip("needs root and systemd's programs")
    filled(environment, with_accounts=words != "import")
    (tmp_path / "old").write_text("old")
    prepare(words, environment, tmp_path)
    before = asyncio.run(everything(environment)), files_below(tmp_path)
    arguments, effect = DESTROYING[words]

    with CliRunner().isolation() as (output, errors, _):
        command = [*words.split(), "--flavor", environment.flavor]
        code = run([*command, *arguments.format(folder=tmp_path).split()], environment.variables)
        shown, said = output.getvalue().decode(), errors.getvalue().decode()

    assert effect in shown, (shown, said)
    if words in COUNTS_ONLY:
        assert (0, True) == (code, "Nothing was removed: add --yes to remove it.\n" in shown)
    else:
        refusal = "happy-server: nothing was done: add --yes to do it without a prompt\n"
        assert (1, refusal) == (code, said[-len(refusal) :])  # after lines of progress on a busy machine
    assert before == (asyncio.run(everything(environment)), files_below(tmp_path))


def prepare(words: str, environment: Environment, folder: Path) -> None:
    """What the command needs to have something to destroy."""
    if words == "import":
        other = light_environment(folder / "other")
        filled(other)
    if words == "secret forget":
        data = Path(environment.variables["HAPPY_SERVER_LIGHT_DATA_DIR"])
        (data / "handy-master-secret.txt").write_text(environment.variables.pop("HANDY_MASTER_SECRET"))
        with CliRunner().isolation():
            assert 0 == run(["secret", "replace"], environment.variables)
            assert 0 == run(["secret", "rotate", "--stopped"], environment.variables)
    if words == "service uninstall":
        with CliRunner().isolation():
            root = folder / "installed"
            root.mkdir()
            assert 0 == run(["service", "install", "--root", str(root), "--yes"], environment.variables)


def test_every_command_that_asks_is_tried() -> None:
    """Add a new command with `yes_option` to DESTROYING."""
    asking = {
        " ".join(words)
        for words, command in every_command().items()
        if not isinstance(command, click.Group) and any("--yes" in each.opts for each in command.params)
    }
    assert asking == DESTROYING.keys()
