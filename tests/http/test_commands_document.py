"""`docs/commands.md` shows what commands really print, and names the fields of their JSON."""

import asyncio
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from happy.cli.main import run
from happy.settings import load
from tests.support.commands_document import BLOCK, COMMAND, DOCUMENT, PYTHON, document, has_systemd
from tests.support.documented_json import differences, documented, parsed
from tests.support.environments import Environment, OpenEnvironment, light_environment
from tests.support.example_server import DESKTOP, GRACE, INVITE, NEW, PHONE, fill
from tests.support.rows import open_rows
from tests.support.server_process import free_port
from tests.support.server_thread import run_server
from tests.support.terminal import until_ready
from tests.unit.test_command import every_command

TEXT = DOCUMENT.read_text("utf-8")
ELSEWHERE = {
    "new-secret": "no server may run: test_json_of_what_needs_the_server_stopped",
    "restore": "no server may run: test_json_of_what_needs_the_server_stopped",
    "secret forget": "its secret must be in a file: test_json_of_what_needs_a_secret_in_a_file",
    "secret replace": "its secret must be in a file",
    "serve": "it does not end: test_json_of_a_server_that_is_ready",
    "service install": "it needs systemd: test_json_of_what_needs_systemd",
    "service show": "it may warn of where these tests are: test_json_of_what_needs_systemd",
    "service uninstall": "it needs systemd",
}
"""Commands whose JSON is not tried beside the server of the examples, and why."""

JSON = (
    "version --json",
    "schema-check --json",
    "migrate --json",
    "migrate --plan --json",
    "backup {folder}/backup.tar.zst --json",
    "verify {folder}/backup.tar.zst --json",
    "export ada {folder}/one.tar.zst --json",
    "import {folder}/one.tar.zst --yes --json",
    "secret status --json",
    "secret rotate --json",
    "stats --all --json",
    "purge --inactive-days 1000 --files --json",
    "accounts list --json",
    "accounts show @ada --json",
    "accounts pending --json",
    "accounts approve 9F03-9F03 --json",
    "accounts refuse 77D1-77D1 --json",
    f"accounts sign-out {GRACE} --yes --json",
    f"accounts disable {GRACE} --yes --json",
    f"accounts enable {GRACE} --json",
    f"accounts delete {GRACE} --yes --json",
    "sessions list ada --json",
    f"sessions show {NEW} --json",
    f"sessions delete {NEW} --yes --json",
    "machines list ada --json",
    f"machines show {DESKTOP} --json",
    f"machines delete {DESKTOP} --yes --json",
    "invites create --json",
    "invites list --json",
    f"invites revoke {INVITE} --yes --json",
    "tokens list ada --json",
    f"tokens revoke {PHONE} --yes --json",
    "audit --json",
)
"""Every command that prints JSON beside a server, in this order."""

PLAN = "{revision, head, copyBytes, steps: [{revision, does, waits, rewrites, rows, seconds}]}"
assert f"`{PLAN}`" in TEXT


def words_of(command: str) -> str:
    """The command without its arguments."""
    parts = command.split()
    return next(words for words in (" ".join(parts[:2]), parts[0]) if tuple(words.split()) in every_command())


def commands() -> dict[str, click.Command]:
    """All that do something, by their words."""
    return {
        " ".join(words): command
        for words, command in every_command().items()
        if not isinstance(command, click.Group)
    }


def test_the_documented_output_is_what_commands_print() -> None:
    """`make commands` writes it."""
    assert document(TEXT) == TEXT


def test_every_command_is_shown_with_its_output() -> None:
    """Write a block of `console` with `$ happy-server COMMAND` behind its heading, then: `make commands`."""
    shown = {words_of(command) for block in BLOCK.findall(TEXT) for _, command in COMMAND.findall(block)}
    assert [] == sorted(commands().keys() - shown)


def test_no_output_is_written_by_hand() -> None:
    """Make it a block of `console`, which `make commands` fills."""
    assert ["console"] * len(BLOCK.findall(TEXT)) == re.findall(r"^```(.+)$", TEXT, re.MULTILINE)
    assert 2 * len(BLOCK.findall(TEXT)) == TEXT.count("```")


def test_every_field_of_json_is_documented() -> None:
    """Write "`--json`: `{field, ...}`" behind the heading of the command, and add it to JSON above."""
    printing = {
        words
        for words, command in commands().items()
        if any("--json" in parameter.opts for parameter in command.params)
    }
    checked = {words_of(command) for command in JSON}
    assert [] == sorted(printing - checked - ELSEWHERE.keys())
    assert [] == [words for words in sorted(checked) if documented(TEXT, words) is None]


def printed(environ: Mapping[str, str], command: str) -> Any:
    mode = "invite" if command.startswith("invites") else "approve"
    with CliRunner().isolation() as (output, errors, _):
        code = run(command.split(), {**environ, "HAPPY_REGISTRATION": mode})
        assert (0, b"") == (code, errors.getvalue() if "--yes" not in command else b""), command
        return msgspec.json.decode(output.getvalue())


def differing(environ: Mapping[str, str], command: str) -> list[str]:
    """Fields of what the command prints that differ from those that are documented."""
    words = words_of(command)
    spec = PLAN if "--plan" in command else documented(TEXT, words)
    assert spec is not None, words
    return differences(parsed(spec), printed(environ, command))


def migrated(environment: Environment) -> dict[str, str]:
    """The variables of a server that has the examples' data."""
    environ = {**environment.variables, "PUBLIC_URL": "https://happy.example.org"}
    settings = load(environ, flavor=environment.flavor)

    async def prepare() -> None:
        async with open_rows(settings) as rows:
            await fill(rows, int(time.time()) * 1000)

    with CliRunner().isolation():
        assert 0 == run(["migrate", "--flavor", environment.flavor], environ)
    asyncio.run(prepare())
    return environ


@pytest.mark.usefixtures("_usual_logging")
def test_json_has_the_fields_that_are_documented(environment: Environment, tmp_path: Path) -> None:
    environ, found = migrated(environment), {}
    with run_server(environment):
        for command in JSON:
            found[command] = differing(environ, command.format(folder=tmp_path))
    assert {command: each for command, each in found.items() if each} == {}


@pytest.mark.usefixtures("_usual_logging")
def test_json_of_what_needs_the_server_stopped(
    environment: Environment, open_environment: OpenEnvironment, tmp_path: Path
) -> None:
    """Beside a light server they are refused, and say so."""
    environ, archive = migrated(environment), tmp_path / "backup.tar.zst"
    printed(environ, f"backup {archive} --json")
    if environment.flavor == "light":
        for command in (f"restore {archive}", "new-secret --yes"):
            with run_server(environment), CliRunner().isolation() as (_, errors, _):
                assert 1 == run(command.split(), environ)
                assert b": stop that one" in errors.getvalue()
    assert [] == differing(environ, "new-secret --yes --json")
    with open_environment() as other:
        assert [] == differing(other.variables, f"restore {archive} --json")


def test_json_of_what_needs_a_secret_in_a_file(tmp_path: Path) -> None:
    environ = migrated(light_environment(tmp_path))
    (tmp_path / "handy-master-secret.txt").write_text(environ.pop("HANDY_MASTER_SECRET"))

    for command in ("secret replace --json", "secret rotate --stopped --json", "secret forget --yes --json"):
        assert [] == differing(environ, command)


@pytest.mark.skipif(not has_systemd(), reason="needs root and systemd's programs")
def test_json_of_what_needs_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", PYTHON)
    for command in ("install", "show", "uninstall"):
        yes = "" if command == "show" else " --yes"
        assert [] == differing({}, f"service {command} --root {tmp_path} --json{yes}")


def test_json_of_a_server_that_is_ready(environment: Environment) -> None:
    port = str(free_port())
    environ = {**environment.variables, "PORT": port, "METRICS_ENABLED": "false"}
    shown = until_ready(["serve", "--json", "--flavor", environment.flavor], environ, "}")

    document = msgspec.json.decode(shown)
    spec = documented(TEXT, "serve")
    assert spec is not None
    assert [] == differences(parsed(spec), document)
    assert (int(port), environment.flavor) == (document["port"], document["flavor"])
