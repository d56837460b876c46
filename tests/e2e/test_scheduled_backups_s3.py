"""Backups that the running server makes into an object store: kept, pruned, and cleaned up there."""

from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_backup_storage import backup_store
from tests.e2e.test_scheduled_backups import get
from tests.support.commands import command
from tests.support.databases import new_database
from tests.support.environments import Environment, full_variables
from tests.support.object_store import ObjectStore, run_object_store
from tests.support.server_process import Server, free_port
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SECONDS = 180.0
PREFIX = "of/this/server/"
AGES = (*range(1, 30), 35, 50, 70, 100, 160, 400)
"""In days: backups of earlier days."""

KEEP = (3, 2, 2)


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with run_object_store() as running:
        yield running


class Backups:
    """What is in the bucket."""

    def __init__(self, store: ObjectStore, flavor: str) -> None:
        self.store = store
        self.flavor = flavor
        self.bucket = store.new_bucket()
        self.target = f"s3://{self.bucket}/{PREFIX}"

    def name(self, moment: datetime) -> str:
        return f"{PREFIX}happy-{self.flavor}-{moment:%Y%m%dT%H%M%SZ}.tar.zst"

    def put(self, key: str) -> str:
        self.store.client.put_object(Bucket=self.bucket, Key=key, Body=b"earlier")
        return key

    def listed(self) -> list[str]:
        return self.store.keys(self.bucket)

    def made(self, *earlier: str) -> list[str]:
        """Those that are there besides the earlier ones."""
        return sorted(set(self.listed()).difference(earlier))

    def uploads(self) -> list[str]:
        found = self.store.client.list_multipart_uploads(Bucket=self.bucket)
        return [upload["Key"] for upload in found.get("Uploads", ())]

    def begin_upload(self, key: str) -> None:
        begun = self.store.client.create_multipart_upload(Bucket=self.bucket, Key=key)
        part: dict[str, Any] = {"UploadId": begun["UploadId"], "PartNumber": 1, "Body": b"x" * 5_242_880}
        self.store.client.upload_part(Bucket=self.bucket, Key=key, **part)


def keys_of_others(flavor: str) -> list[str]:
    """What looks like a backup, and is none of this server's."""
    other = "full" if flavor == "light" else "light"
    return [
        f"{PREFIX}happy-{other}-20200101T000000Z.tar.zst",
        f"{PREFIX}happy-account-x-20200101T000000Z.tar.zst",
        f"{PREFIX}notes.txt",
        f"somebody/else/happy-{flavor}-20200101T000000Z.tar.zst",
    ]


def server_of(environment: Environment, home: Path, target: str, **variables: str) -> Server:
    port = {"METRICS_ENABLED": "true", "METRICS_PORT": str(free_port())}
    backups = {"HAPPY_BACKUP_DIR": target, "HAPPY_BACKUP_EVERY": "60s", **variables}
    return Server(home, flavor=environment.flavor, variables={**environment.variables, **port, **backups})


def last_of_periods(days: list[date]) -> set[date]:
    """The last of the latest days, weeks and months, by the calendar."""
    periods: tuple[Callable[[date], object], ...] = (
        lambda day: day,
        lambda day: day.isocalendar()[:2],
        lambda day: (day.year, day.month),
    )
    kept: set[date] = set()
    for count, period in zip(KEEP, periods, strict=True):
        last = {period(day): day for day in sorted(days)}
        kept.update(sorted(last.values())[-count:])
    return kept


async def test_backups_in_an_object_store_are_kept_by_days_weeks_and_months(
    environment: Environment, object_store: ObjectStore, tmp_path: Path
) -> None:
    backups = Backups(object_store, environment.flavor)
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
    moments = [noon - timedelta(days=age) for age in AGES]
    by_day = {moment.date(): backups.put(backups.name(moment)) for moment in moments}
    before_noon = backups.put(backups.name(noon - timedelta(days=1, hours=3)))
    others = [backups.put(key) for key in keys_of_others(environment.flavor)]
    environment.variables.update(backup_store(object_store))
    earlier = {*by_day.values(), before_noon, *others}
    kept = last_of_periods([datetime.now(UTC).date(), *by_day])
    expected = {*others, *(key for day, key in by_day.items() if day in kept)}
    keep = ",".join(map(str, KEEP))
    async with server_of(environment, tmp_path / "home", backups.target, HAPPY_BACKUP_KEEP=keep) as server:
        await until(lambda: "backup made" in server.log_text(), SECONDS)
        await until(lambda: expected == earlier.intersection(backups.listed()), SECONDS)
        health = (await get(server, "/health", private=True)).json()["backup"]
        metrics = (await get(server, "/metrics", private=True)).text
        assert 0 == await server.stop()

    (made,) = backups.made(*earlier)
    size = object_store.client.head_object(Bucket=backups.bucket, Key=made)["ContentLength"]
    assert 0 == (await command(environment, "verify", f"s3://{backups.bucket}/{made}", "--deep")).code
    assert (0, size) == (health["failures"], health["bytes"])
    assert backups.name(datetime.fromtimestamp(health["madeAt"] // 1000, UTC)) == made
    assert 'backup_failures_total{app="happy-server"} 0.0' in metrics
    assert f'backup_last_success_bytes{{app="happy-server"}} {float(size)}' in metrics


async def test_incomplete_uploads_below_the_prefix_are_given_up(
    environment: Environment, object_store: ObjectStore, tmp_path: Path
) -> None:
    object_store.provider.reset()  # not a real store: all uploads of this one seem to have begun long ago
    backups = Backups(object_store, environment.flavor)
    elsewhere = "somebody/else/happy-light.tar.zst"
    for key in (elsewhere, f"{PREFIX}happy-light-20200101T000000Z.tar.zst", f"{PREFIX}by-hand"):
        backups.begin_upload(key)
    environment.variables.update(backup_store(object_store))
    async with server_of(environment, tmp_path / "home", backups.target) as server:
        await until(lambda: backups.uploads() == [elsewhere], SECONDS)
        assert 0 == await server.stop()

    assert 1 == len(backups.listed())


@pytest.mark.services
async def test_one_of_two_replicas_backs_up_and_the_other_one_knows_it(
    object_store: ObjectStore, tmp_path: Path
) -> None:
    backups = Backups(object_store, "full")
    async with new_database() as url, AsyncExitStack() as stack:
        environment = Environment("full", full_variables(url, tmp_path / "files"))
        environment.variables.update(backup_store(object_store))
        replicas = [
            await stack.enter_async_context(server_of(environment, tmp_path / name, backups.target))
            for name in ("one", "two")
        ]
        await until(
            lambda: [made for each in replicas if (made := "backup made" in each.log_text())], SECONDS
        )
        (made,) = [each for each in replicas if "backup made" in each.log_text()]
        (other,) = [each for each in replicas if each is not made]

        async def both_show_it() -> bool:
            shown = [(await get(each, "/health", private=True)).json()["backup"] for each in replicas]
            return shown[0] == shown[1] and shown[0]["madeAt"] is not None

        await until(both_show_it, SECONDS)
        assert 1 == len(backups.listed())
        assert "backup made" not in other.log_text()
        made.kill()
        await until(lambda: "backup made" in other.log_text(), 2 * SECONDS)
