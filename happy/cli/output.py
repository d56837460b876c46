"""What administration commands print: a table or lines for people, or JSON for programs."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click
import msgspec

from happy.cli.common import CommandFailed, interruptible
from happy.domain.values import Millis

SEPARATOR = "  "
Row = Mapping[str, str]
"""One line of a table: its cells by column title. All rows of a table have the same titles."""


class Output:
    """`--json` prints one document on stdout, in the fields of the struct; times are Unix milliseconds."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    def listing(self, items: Sequence[Any], rows: Iterable[Row], *, nothing: str) -> None:
        """A table of `rows`, or `items` as a JSON list. `nothing` is said when there are none."""
        if self.as_json:
            _print_json(items)
        elif items:
            _print_table(list(rows))
        else:
            click.echo(nothing)

    def page(self, items: Sequence[Any], rows: Iterable[Row], *, nothing: str, after: str | None) -> None:
        """A listing of which there is more, behind the one with the id `after`, unless that is None."""
        self.listing(items, rows, nothing=nothing)
        if after is not None:
            click.echo(f"There are more: add --after {after}", err=True)

    def details(self, document: Any, fields: Row) -> None:
        """One thing: a line for each field, or `document` as JSON."""
        if self.as_json:
            _print_json(document)
            return
        width = max(map(len, fields))
        for name, value in fields.items():
            click.echo(f"{name:<{width}}{SEPARATOR}{printable(value)}".rstrip())

    def table(self, title: str, rows: Iterable[Row]) -> None:
        """One of several tables for people, with a title; nothing if it is empty."""
        if listed := list(rows):
            click.echo(f"\n{title}")
            _print_table(listed)

    def done(self, document: Any, *lines: str) -> None:
        """What a command has done."""
        if self.as_json:
            _print_json(document)
            return
        for line in lines:
            click.echo(printable(line))

    def confirm(self, effects: Sequence[str], *, yes: bool) -> None:
        """Show what would be done, and prompt unless `yes`. Raises CommandFailed if it is not to be done."""
        for line in effects:
            click.echo(printable(line), err=self.as_json)
        if yes:
            return
        if not sys.stdin.isatty():
            raise CommandFailed("nothing was done: add --yes to do it without a prompt")
        with interruptible():
            goes_on = click.confirm("Go on?", err=self.as_json)
        if not goes_on:
            raise CommandFailed("nothing was done")


def moment(time: Millis | None) -> str:
    """A time for people, in UTC; `-` for none."""
    return "-" if time is None else f"{datetime.fromtimestamp(time / 1000, UTC):%Y-%m-%d %H:%M:%SZ}"


def number(count: int) -> str:
    """A count for people."""
    return f"{count:,}"


def printable(text: str) -> str:
    """Without control characters: clients choose names, and a terminal obeys what it is sent."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def _print_json(document: Any) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())


def _print_table(rows: Sequence[Row]) -> None:
    titles = list(rows[0])
    lines = [titles, *([printable(row[title]) for title in titles] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    for line in lines:
        cells = (f"{cell:<{width}}" for cell, width in zip(line, widths, strict=True))
        click.echo(SEPARATOR.join(cells).rstrip())
