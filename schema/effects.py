"""What a migration does to a database that is in use: each one says it, as `effect`."""

from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from alembic.script import ScriptDirectory

Waits = Literal["nobody", "a moment"]
"""Who waits while PostgreSQL runs it: a column without a default is added in milliseconds, but alone."""

MILLION: Final = 1_000_000
NEW_TABLES: Final = ()


class Seconds(NamedTuple):
    """Measured, per million rows in each of the tables, on two busy cores with a busy disk: an upper bound.

    `python -m tests.support.migration_times` measures it.
    """

    postgresql: float
    sqlite: float


AT_ONCE: Final = Seconds(0, 0)
"""It does not depend on how many rows there are."""


@dataclass(frozen=True)
class Effect:
    """Of one migration on tables that exist already; new tables concern nobody.

    `oldest` is the oldest revision whose code may serve the database afterwards: the first one, unless that
    code would do something that must not happen any more. Then it is the migration's own revision.
    """

    does: str
    oldest: str
    tables: tuple[str, ...] = NEW_TABLES
    waits: Waits = "nobody"
    rewrites: bool = False
    seconds: Seconds = AT_ONCE


def known(scripts: ScriptDirectory) -> dict[str, Effect]:
    """The effects of all migrations by revision, oldest first."""
    found = {script.revision: script.module.effect for script in scripts.walk_revisions()}
    return dict(sorted(found.items()))


def oldest(scripts: ScriptDirectory, head: str) -> str:
    """The oldest revision whose code may use a database at the revision `head`."""
    return max(effect.oldest for revision, effect in known(scripts).items() if revision <= head)
