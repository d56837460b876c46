"""The command that shows the audit log."""

from datetime import UTC, datetime
from typing import Any

import click

from happy.cli.administration import Administration, administers
from happy.cli.output import Row, moment
from happy.domain.audit import MAX_ENTRIES, AuditEntry
from happy.domain.values import HOUR, MINUTE, SECOND, Millis

UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": 24 * HOUR}


class Since(click.ParamType[Any]):
    """A span such as `36h` or `7d`, or a day or moment in UTC such as `2026-11-28` or `2026-11-28T12:00`."""

    name = "since"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number, unit = value[:-1], value[-1:]
        if unit in UNITS and number.isascii() and number.isdecimal() and len(number) <= len("99999"):
            return lambda now: Millis(max(now - int(number) * UNITS[unit], 0))
        try:
            day = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is no span such as 7d and no day such as 2026-11-28", param, ctx)
        moment = int((day if day.tzinfo else day.replace(tzinfo=UTC)).timestamp() * SECOND)
        return lambda _: Millis(max(moment, 0))


@click.command("audit")
@click.option("--since", type=Since(), default="400d", help="7d, 36h, 2026-11-28 or 2026-11-28T12:00 (UTC).")
@administers
async def audit(administration: Administration, since: Any) -> None:
    """Show what was done to accounts, tokens and secrets.

    The latest comes last.
    """
    start = since(administration.now())
    newest = await administration.store.read(lambda tx: tx.audit.since(start, MAX_ENTRIES))
    found = newest[::-1]
    administration.output.listing(found, map(_row, found), nothing="Nothing was recorded.")


def _row(entry: AuditEntry) -> Row:
    return {
        "TIME": moment(entry.time),
        "BY": entry.actor,
        "WHAT": entry.action,
        "TO": entry.subject,
        "DETAIL": entry.detail,
    }
