"""The server backs up by itself when it is time, tries again after a failure, and says when it does not."""

import logging

import pytest

from happy.domain.backups import BackupFailed, BackupRecord, StoredBackup
from happy.domain.values import HOUR, MINUTE, Millis
from happy.metrics import BackupState
from happy.services.backup_retention import Retention
from happy.services.scheduled_backups import Plan, ScheduledBackups
from tests.unit.services.world import World

DAY = 24 * HOUR
PLAN = Plan("/backups", DAY, Retention(2, 0, 0))


class Storage:
    """Where backups are, as names and times."""

    def __init__(self) -> None:
        self.stored: list[StoredBackup] = []
        self.problem: str | None = None
        self.lost = False
        self.begun = 0

    async def make(self, now: Millis) -> BackupRecord:
        self.begun += 1
        if self.problem is not None:
            raise BackupFailed(self.problem)
        name = f"backup {self.begun}"
        if not self.lost:
            self.stored.append(StoredBackup(name, now))
        return BackupRecord(made_at=now, name=name, bytes=7, milliseconds=1)

    async def list(self) -> list[StoredBackup]:
        return list(self.stored)

    async def delete(self, name: str) -> None:
        self.stored = [backup for backup in self.stored if backup.name != name]


class Replica:
    def __init__(self, world: World, storage: Storage, name: str = "one") -> None:
        self.state = BackupState()
        self._world = world
        self._backups = ScheduledBackups(world.store, storage, world.clock, name, PLAN, self.state)

    async def after(self, *, minutes: float = 0) -> BackupState:
        self._world.clock.advance(minutes=minutes)
        await self._backups.run_when_due()
        return self.state


async def test_the_first_backup_comes_some_minutes_after_the_start_and_the_next_a_day_later(
    world: World,
) -> None:
    storage = Storage()
    replica = Replica(world, storage)

    await replica.after()
    assert 0 == storage.begun
    await replica.after(minutes=4)
    assert 1 == storage.begun
    await replica.after(minutes=DAY / MINUTE - 1)
    assert 1 == storage.begun
    await replica.after(minutes=1)
    assert 2 == storage.begun


async def test_a_server_that_starts_again_and_again_does_not_back_up_each_time(world: World) -> None:
    storage = Storage()
    for _ in range(5):
        await Replica(world, storage).after(minutes=1)
    assert 0 == storage.begun

    for _ in range(5):
        await Replica(world, storage).after()
        replica = Replica(world, storage)
        await replica.after(minutes=10)
    assert 1 == storage.begun


async def test_all_replicas_know_of_the_backup_that_one_of_them_made(world: World) -> None:
    storage = Storage()
    one, other = Replica(world, storage, "one"), Replica(world, storage, "other")

    made = await one.after(minutes=5)
    seen = await other.after()

    assert 1 == storage.begun
    assert (made.made_at, 7, False) == (seen.made_at, seen.bytes, seen.overdue)


async def test_a_backup_that_fails_is_one_line_and_is_tried_again_later(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Storage()
    storage.problem = "/backups: No space left on device"
    one, other = Replica(world, storage, "one"), Replica(world, storage, "other")

    state = await one.after(minutes=5)
    await one.after(minutes=1)
    await other.after()
    assert 1 == storage.begun
    assert ["backup failed: /backups: No space left on device; next attempt in 900 s"] == [
        record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING
    ]
    assert (1, "/backups: No space left on device") == (state.failures, state.last_error)

    storage.problem = None
    await other.after(minutes=25)

    assert 2 == storage.begun
    assert not (await one.after()).overdue


async def test_pauses_after_failures_grow_but_not_beyond_half_a_period(world: World) -> None:
    storage = Storage()
    storage.problem = "refused"
    replica = Replica(world, storage)
    for _ in range(7 * 24 * 60 // 10):
        await replica.after(minutes=10)

    assert 12 <= storage.begun <= 24


async def test_a_server_without_a_backup_from_the_last_two_periods_says_so_once_in_each(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Storage()
    replica = Replica(world, storage)
    assert not (await replica.after(minutes=5)).overdue
    storage.problem = "refused"
    for _ in range(4 * 24):
        await replica.after(minutes=60)

    assert replica.state.overdue
    said = [record.getMessage() for record in caplog.records if "no backup was made" in record.getMessage()]
    assert 2 == len(said)
    assert "no backup was made for 49.0 hours" == said[0]

    storage.problem = None
    await replica.after(minutes=HOUR * 20 / MINUTE)
    assert not (await replica.after()).overdue


async def test_older_backups_are_deleted_only_where_the_new_one_is_seen(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    storage = Storage()
    replica = Replica(world, storage)
    for _ in range(3):
        await replica.after(minutes=DAY / MINUTE)
    assert ["backup 2", "backup 3"] == [backup.name for backup in storage.stored]

    storage.lost = True
    await replica.after(minutes=DAY / MINUTE)

    assert ["backup 2", "backup 3"] == [backup.name for backup in storage.stored]
    assert "the backup backup 4 is not where it was put" in caplog.text
