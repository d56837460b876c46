"""Which replica backs up, and the last backup, on every database."""

import asyncio

from happy.domain.backups import BackupRecord
from happy.domain.ports.store import Store
from happy.domain.values import Millis
from tests.support.factories import NOW


async def claim(store: Store, holder: str, now: int, until: int, target: str = "/backups") -> bool:
    return await store.write(lambda tx: tx.backups.claim(target, holder, Millis(now), Millis(until)))


async def test_one_replica_backs_up_at_a_time(store: Store) -> None:
    claims = await asyncio.gather(*(claim(store, f"replica {n}", NOW, NOW + 60) for n in range(4)))

    assert 1 == sum(claims)


async def test_another_replica_takes_over_when_the_first_one_has_died(store: Store) -> None:
    assert await claim(store, "one", NOW, NOW + 60)
    assert not await claim(store, "other", NOW + 59, NOW + 200)
    assert await claim(store, "one", NOW + 59, NOW + 100)  # it lives, and extends
    assert not await claim(store, "other", NOW + 99, NOW + 200)
    assert await claim(store, "other", NOW + 100, NOW + 200)
    assert not await claim(store, "one", NOW + 101, NOW + 200)
    assert await claim(store, "one", NOW, NOW + 60, target="s3://bucket/elsewhere")


async def test_a_replica_lets_others_claim_from_a_time_on(store: Store) -> None:
    assert await claim(store, "one", NOW, NOW + 60)
    await store.write(lambda tx: tx.backups.release("/backups", "other", Millis(0)))  # not its own
    assert not await claim(store, "other", NOW, NOW + 60)

    await store.write(lambda tx: tx.backups.release("/backups", "one", Millis(NOW + 10)))

    assert not await claim(store, "other", NOW + 9, NOW + 60)
    assert await claim(store, "other", NOW + 10, NOW + 60)


async def test_the_last_backup_is_known_to_all(store: Store) -> None:
    made = BackupRecord(made_at=NOW, name="happy.tar.zst", bytes=5_000_000_000, milliseconds=7)
    await claim(store, "one", NOW, NOW + 60)
    assert None is await store.read(lambda tx: tx.backups.last("/backups"))

    await store.write(lambda tx: tx.backups.record("/backups", made))

    assert made == await store.read(lambda tx: tx.backups.last("/backups"))
    assert None is await store.read(lambda tx: tx.backups.last("/elsewhere"))
