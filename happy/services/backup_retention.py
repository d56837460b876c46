"""Which backups are kept: the last ones of days, weeks and months."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from msgspec import Struct

from happy.domain.backups import StoredBackup

Period = Callable[[datetime], object]


class Retention(Struct, frozen=True):
    """Of how many days, weeks and months (in UTC) the last backup is kept."""

    days: int
    weeks: int
    months: int


_PERIODS: Final[tuple[Period, ...]] = (
    lambda time: time.date(),
    lambda time: time.date() - timedelta(days=time.weekday()),
    lambda time: (time.year, time.month),
)


def superseded(backups: Sequence[StoredBackup], keep: Retention) -> list[StoredBackup]:
    """Those that may be deleted. The newest one never is, even if nothing shall be kept.

    With `Retention(2, 1, 1)` and one backup each day, the last two days' are kept; the newest one is also
    the last of its week and of its month.
    """
    newest_first = sorted(backups, key=lambda backup: backup.time, reverse=True)
    kept = set(newest_first[:1])
    for count, period in zip((keep.days, keep.weeks, keep.months), _PERIODS, strict=True):
        last: dict[object, StoredBackup] = {}
        for backup in newest_first:
            last.setdefault(period(datetime.fromtimestamp(backup.time / 1000, UTC)), backup)
        kept.update(list(last.values())[:count])
    return [backup for backup in newest_first if backup not in kept]
