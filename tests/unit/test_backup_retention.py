"""Which backups are kept: the last ones of days, weeks and months, and always the newest."""

from datetime import UTC, datetime, timedelta

import pytest

from happy.domain.backups import StoredBackup
from happy.domain.values import Millis
from happy.services.backup_retention import Retention, superseded

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)  # a Saturday


def at(time: datetime) -> StoredBackup:
    return StoredBackup(f"{time:%Y-%m-%d %H}", Millis(int(time.timestamp() * 1000)))


def kept(times: list[datetime], keep: Retention) -> list[str]:
    backups = [at(time) for time in times]
    gone = {backup.name for backup in superseded(backups, keep)}
    return sorted((backup.name for backup in backups if backup.name not in gone), reverse=True)


def test_of_a_year_of_daily_backups_the_last_days_weeks_and_months_are_kept() -> None:
    days = [NOON - timedelta(days=number) for number in range(365)]

    found = kept(days, Retention(7, 4, 6))

    assert [f"2026-11-{day} 12" for day in range(28, 21, -1)] == found[:7]
    assert ["2026-11-15 12", "2026-11-08 12", "2026-10-31 12", "2026-09-30 12", "2026-08-31 12"] == found[
        7:12
    ]
    assert ["2026-07-31 12", "2026-06-30 12"] == found[12:]


def test_of_several_backups_of_a_day_the_last_one_is_kept() -> None:
    hours = [NOON - timedelta(hours=number) for number in range(30)]

    assert ["2026-11-28 12", "2026-11-27 23"] == kept(hours, Retention(7, 0, 0))


def test_days_without_a_backup_do_not_count() -> None:
    assert ["2026-11-28 12", "2026-05-01 12"] == kept(
        [NOON, datetime(2026, 5, 1, 12, tzinfo=UTC)], Retention(2, 0, 0)
    )


@pytest.mark.parametrize("keep", [Retention(0, 0, 0), Retention(1, 0, 0), Retention(0, 0, 1)])
def test_the_only_one_is_never_deleted(keep: Retention) -> None:
    assert [] == superseded([at(NOON)], keep)
    assert ["2026-11-28 12"] == kept([NOON, NOON - timedelta(hours=1)], keep)
