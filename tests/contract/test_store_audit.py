"""The audit log, on every database."""

import logging

import pytest

from happy.domain.audit import MAX_AGE, MAX_ENTRIES, MAX_TEXT, audit_entry
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import Millis
from happy.metrics import Counter
from happy.services.audit import AuditTrail, record
from tests.support.factories import NOW


async def add(store: Store, subject: str, now: int = NOW) -> None:
    await store.write(
        lambda tx: record(tx, Millis(now), "command line", "account.disable", subject, "asked for by letter")
    )


async def subjects(store: Store, since: int = 0, limit: int = 100) -> list[str]:
    return [entry.subject for entry in await store.read(lambda tx: tx.audit.since(Millis(since), limit))]


async def test_what_was_recorded_is_read_newest_first(store: Store) -> None:
    for number in range(3):
        await add(store, f"account {number}", NOW + number)

    assert ["account 2", "account 1", "account 0"] == await subjects(store)
    assert ["account 2", "account 1"] == await subjects(store, since=NOW + 1)
    assert ["account 2"] == await subjects(store, limit=1)
    (entry,) = await store.read(lambda tx: tx.audit.since(Millis(NOW + 2), 10))
    assert (NOW + 2, "command line", "account.disable", "asked for by letter") == (
        entry.time,
        entry.actor,
        entry.action,
        entry.detail,
    )


async def test_an_act_that_fails_leaves_no_entry(store: Store) -> None:
    async def fail(tx: Transaction) -> None:
        await record(tx, NOW, "system", "token.revoke", "id")
        raise RuntimeError("rolled back")

    with pytest.raises(RuntimeError):
        await store.write(fail)
    assert [] == await subjects(store)


async def test_it_is_bounded_by_age_and_by_number(store: Store) -> None:
    for number in range(6):
        await add(store, str(number), NOW + number)

    assert 1 == await store.write(lambda tx: tx.audit.prune(Millis(NOW + 2), 3, 1))
    assert 1 == await store.write(lambda tx: tx.audit.prune(Millis(NOW + 2), 3, 10))
    assert 1 == await store.write(lambda tx: tx.audit.prune(Millis(NOW + 2), 3, 10))
    assert 0 == await store.write(lambda tx: tx.audit.prune(Millis(NOW + 2), 3, 10))
    assert ["5", "4", "3"] == await subjects(store)


async def test_old_entries_are_removed_in_the_background(store: Store) -> None:
    await add(store, "old")
    await add(store, "new", NOW + 2)
    await AuditTrail(store, lambda: Millis(NOW + MAX_AGE + 1), Counter("audit")).prune()

    assert ["new"] == await subjects(store)
    assert MAX_ENTRIES == 10_000, "docs/operating.md says so"


async def test_acts_of_the_command_line_are_logged_and_counted_once_by_a_running_server(
    store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "happy.services.audit")
    now: list[int] = [NOW]
    counter = Counter("audit_entries", "actor", "action")
    await add(store, "before the start", NOW - 1)
    trail = AuditTrail(store, lambda: Millis(now[0]), counter)
    await add(store, "first", NOW + 1)
    await trail.follow()
    now[0] += 10_000
    await add(store, "committed late", NOW + 1)
    await trail.follow()
    now[0] += 1_000_000
    await add(store, "second", now[0])
    await trail.follow()
    await trail.follow()

    shown = [record.getMessage() for record in caplog.records]
    assert [f"account.disable: {subject}" for subject in ("first", "committed late", "second")] == shown
    assert {("command line", "account.disable"): 3} == counter.values


def test_an_entry_is_one_short_line_whatever_it_was_made_of() -> None:
    entry = audit_entry(NOW, "system", "account.refuse", "a\nb\x1b[2J", "x" * 10_000)

    assert ("a b [2J", MAX_TEXT) == (entry.subject, len(entry.detail))


async def test_of_many_acts_at_once_all_but_200_were_in_no_metric(store: Store) -> None:
    """Such as a script that deletes accounts, or guests of one invite."""
    now: list[int] = [NOW]
    counter = Counter("audit", "actor", "action")
    trail = AuditTrail(store, lambda: Millis(now[0]), counter)

    async def act(tx: Transaction) -> None:
        for number in range(300):
            await record(tx, Millis(NOW + number), "command line", "account.delete", f"account {number}")

    await store.write(act)
    for _ in range(2):
        now[0] += 10_000
        await trail.follow()

    assert {("command line", "account.delete"): 300} == counter.values
