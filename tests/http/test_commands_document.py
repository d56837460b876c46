"""`docs/commands.md` shows what commands really print, and names the fields of their JSON."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import click
import msgspec
import pytest
from click.testing import CliRunner

from happy.cli.main import run
from happy.settings import load
from tests.support.commands_document import BLOCK, COMMAND, DOCUMENT, document
from tests.support.documented_json import differences, documented, parsed
from tests.support.environments import Environment
from tests.support.example_server import DESKTOP, GRACE, INVITE, NEW, PHONE, fill
from tests.support.rows import open_rows
from tests.support.server_thread import run_server
from tests.unit.test_command import every_command

TEXT = DOCUMENT.read_text("utf-8")
ELSEWHERE = {
    "backup": "its archive is another one each time: tests/e2e/test_backup.py",
    "export": "its archive is another one each time",
    "import": "it needs another server",
    "new-secret": "it ends every other example",
    "restore": "it needs an empty place: tests/e2e/test_backup.py",
    "secret forget": "there is no previous secret: tests/http/test_secret_commands.py",
    "secret replace": "the secret is in a variable",
    "secret rotate": "there is no previous secret",
    "serve": "it does not end",
    "service install": "it needs systemd: tests/unit/test_service.py",
    "service show": "it needs systemd",
    "service uninstall": "it needs systemd",
    "verify": "it needs an archive: tests/e2e/test_backup.py",
}
"""Commands without an example beside the server of the examples, and why."""

JSON = (
    "version --json",
    "schema-check --json",
    "migrate --json",
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
    shown = {words_of(command) for block in BLOCK.findall(TEXT) for command in COMMAND.findall(block)}
    assert [] == sorted(commands().keys() - shown - ELSEWHERE.keys())


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


@pytest.mark.usefixtures("_usual_logging")
def test_json_has_the_fields_that_are_documented(environment: Environment) -> None:
    environ = {**environment.variables, "PUBLIC_URL": "https://happy.example.org"}
    settings = load(environ, flavor=environment.flavor)
    now = int(time.time()) * 1000

    async def prepare() -> None:
        async with open_rows(settings) as rows:
            await fill(rows, now)

    with CliRunner().isolation():
        assert 0 == run(["migrate", "--flavor", environment.flavor], environ)
    asyncio.run(prepare())
    found = {}
    with run_server(environment):
        for command in JSON:
            words = words_of(command)
            spec = documented(TEXT, words)
            assert spec is not None, words
            found[command] = differences(parsed(spec), printed(environ, command))
    assert {command: differing for command, differing in found.items() if differing} == {}
