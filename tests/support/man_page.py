"""Writes the manual page `docs/happy-server.1` from the commands; `--check`: says whether it is stale.

The wheel installs it, so that `man happy-server` shows what `--help` says of every command.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import click

from happy import __version__
from happy.cli.main import SETTINGS_HINT, commands

PAGE: Final = Path(__file__).parents[2] / "docs" / "happy-server.1"
WRITTEN: Final = "2026-11-28"
"""The date that the page bears: readers take it for that of its contents."""

FOR_ALL: Final = {"--flavor", "--help", "--json", "--yes"}
"""Options that are described once."""

EXIT_CODES: Final = (
    ("0", "Done."),
    ("1", "Refused or failed; one line on standard error says why."),
    ("2", "A usage error."),
    ("130", "Interrupted."),
)
FILES: Final = (
    (
        "~/.happy/server-light/",
        "Database, files and secret of the light server (HAPPY_SERVER_LIGHT_DATA_DIR).",
    ),
    (".env", "Variables of the light server, in the working directory. Those of the environment come first."),
    ("/etc/happy-server/environment", "Settings of the service that \\(lqservice install\\(rq makes."),
)
ABOUT_ALL: Final = (
    (
        "--flavor light|full",
        "SQLite and local files, or PostgreSQL, Redis and S3. It may also come before the command.",
    ),
    (
        "--json",
        "Print one JSON document instead of a table; times are Unix milliseconds.",
    ),
    (
        "--yes",
        "Do without asking what takes something from somebody. Without a terminal it is required.",
    ),
    ("-h, --help", "Show what a command takes."),
)


def page() -> str:
    return "\n".join(lines()) + "\n"


def lines() -> Iterator[str]:
    yield f'.TH HAPPY\\-SERVER 1 "{WRITTEN}" "happy\\-server {__version__}" "User Commands"'
    yield ".SH NAME"
    yield "happy\\-server \\- relay server for end\\-to\\-end encrypted coding agents"
    yield ".SH SYNOPSIS"
    yield ".B happy\\-server"
    yield "[\\fB\\-\\-flavor\\fR \\fIlight\\fR|\\fIfull\\fR] \\fICOMMAND\\fR [\\fIOPTIONS\\fR]"
    yield ".SH DESCRIPTION"
    yield escaped(commands.help or "")
    yield escaped(SETTINGS_HINT)
    yield ".PP"
    yield "Commands work on the configured database, also while servers use it, unless they say otherwise."
    yield ".SH COMMANDS"
    for words, command in described():
        yield from section(words, command)
    yield ".SH OPTIONS"
    yield from entries(ABOUT_ALL)
    yield ".SH EXIT STATUS"
    yield from entries(EXIT_CODES)
    yield ".SH FILES"
    yield from entries(FILES)


def described() -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, in the order in which they are listed."""
    for name, command in commands.commands.items():
        if not isinstance(command, click.Group):
            yield name, command
            continue
        for inner, each in command.commands.items():
            yield f"{name} {inner}", each


def section(words: str, command: click.Command) -> Iterator[str]:
    """What one command does, and the options that only it has."""
    context = click.Context(command, info_name=words, **commands.context_settings)  # click keeps the names
    arguments = " ".join(command.collect_usage_pieces(context)[1:])
    yield f'.SS "{escaped(f"happy-server {words} {arguments}".rstrip())}"'
    paragraphs = (command.help or "").split("\n\n")
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        yield escaped(" ".join(paragraph.split()))
    for option in command.params:
        if isinstance(option, click.Option) and not option.hidden and not FOR_ALL & {*option.opts}:
            name, text = option.get_help_record(context) or ("", "")
            yield from entry(name, text)


def entries(described: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for name, text in described:
        yield from entry(name, text)


def entry(name: str, text: str) -> Iterator[str]:
    yield ".TP"
    yield f".B {escaped(name)}"
    yield escaped(text) if "\\(" not in text else text


def escaped(text: str) -> str:
    """Text that roff takes literally; hyphens are those of options, which can be copied."""
    plain = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{plain}" if plain.startswith((".", "'")) else plain


def main() -> None:
    text = page()
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(text, "utf-8")
    elif not PAGE.exists() or PAGE.read_text("utf-8") != text:
        sys.exit("docs/happy-server.1 is not what the commands say: make man")


if __name__ == "__main__":
    main()
