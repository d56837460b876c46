"""What a deletion hides at once, and how the rows behind it go a few at a time."""

from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from happy.domain.errors import NotFound
from happy.domain.ports.repositories.deletions import Deletable
from happy.domain.ports.store import Store, Transaction
from happy.domain.sessions import Session
from happy.domain.usage import ReportCursor, UsageRange, UsageReport
from happy.domain.values import AccountId, MachineId, Millis, SessionId
from tests.contract.flavors import full_opener
from tests.support import factories
from tests.support.factories import NOW

LATER = Millis(NOW + 1_000)
MESSAGES = 5


async def full_session(store: Store, owner: AccountId) -> tuple[Session, MachineId]:
    """A session with messages, a usage report and an access key of a machine."""
    session, machine = await factories.session(store, owner), await factories.machine(store, owner)
    await store.messages.append(owner, session.id, [factories.draft() for _ in range(MESSAGES)], NOW)

    async def fill(tx: Transaction) -> None:
        await tx.usage.save(owner, f"report of {session.id}", UsageReport("key", session.id, "{}"), NOW)
        await tx.access_keys.add(owner, session.id, machine.id, f"key of {session.id}", "data", NOW)

    await store.write(fill)
    return session, machine.id


async def reports(tx: Transaction, owner: AccountId) -> int:
    wanted = UsageRange(None, ReportCursor(Millis(0), ""), LATER, 1)
    return sum(count for _, count in (await tx.usage.portion(owner, wanted)).counts)


async def delete(store: Store, session: Session) -> bool:
    return await store.write(lambda tx: tx.sessions.delete(session.account_id, session.id, NOW))


async def claim(store: Store, kind: Deletable, now: Millis = LATER) -> str | None:
    return await store.write(lambda tx: tx.deletions.claim(kind, now))


async def remove(store: Store, kind: Deletable, target: str, limit: int) -> int:
    return await store.write(lambda tx: tx.deletions.remove(kind, target, limit))


async def finish(store: Store, kind: Deletable, target: str) -> bool:
    return await store.write(lambda tx: tx.deletions.finish(kind, target))


def reads(owner: AccountId, session: Session, machine: MachineId) -> list[Callable[[Transaction], Any]]:
    """Everything that shows a session or a part of it."""
    target = session.id
    return [
        lambda tx: tx.sessions.get(owner, target),
        lambda tx: tx.sessions.by_tag(owner, session.tag),
        lambda tx: tx.sessions.recent(owner, 10),
        lambda tx: tx.sessions.active(owner, Millis(0), 10),
        lambda tx: tx.sessions.page(owner, None, None, 10),
        lambda tx: tx.access_keys.reachable(owner, target, machine),
        lambda tx: tx.access_keys.get(owner, target, machine),
        lambda tx: reports(tx, owner),
    ]


async def test_a_deleted_session_is_hidden_while_its_rows_are_still_there(store: Store) -> None:
    owner = await factories.account(store)
    session, machine = await full_session(store, owner)
    before = [await store.read(read) for read in reads(owner, session, machine)]
    assert await delete(store, session)

    assert all(before)
    assert [] == [seen for read in reads(owner, session, machine) if (seen := await store.read(read))]
    assert MESSAGES == (await store.read(lambda tx: tx.statistics.rows())).messages
    assert not await delete(store, session)


async def test_nothing_can_be_done_to_a_deleted_session(store: Store) -> None:
    owner = await factories.account(store)
    session, machine = await full_session(store, owner)
    await delete(store, session)
    target, log = session.id, store.messages
    attempts: list[Callable[[], Awaitable[Any]]] = [
        lambda: log.append(owner, target, [factories.draft()], NOW),
        lambda: log.after(owner, target, 0, 10),
        lambda: log.before(owner, target, 10, 10),
        lambda: log.newest(owner, target, 10),
        lambda: store.write(lambda tx: tx.sessions.swap_metadata(owner, target, 0, "m", NOW)),
        lambda: store.write(lambda tx: tx.sessions.swap_agent_state(owner, target, 0, "s", NOW)),
        lambda: store.write(lambda tx: tx.access_keys.swap(owner, target, machine, 1, "data", NOW)),
    ]

    for attempt in attempts:
        with pytest.raises(NotFound):
            await attempt()
    assert not await store.write(lambda tx: tx.sessions.mark_stopped(owner, target, LATER, LATER))


async def test_a_heartbeat_that_comes_late_does_not_revive_a_deleted_session(store: Store) -> None:
    session = await factories.session(store, await factories.account(store))
    await delete(store, session)
    await store.write(lambda tx: tx.sessions.mark_active([(session.id, LATER, LATER)], LATER))

    assert [] == await store.write(lambda tx: tx.sessions.mark_idle(LATER, 10))


async def test_the_tag_of_a_deleted_session_is_free_at_once(store: Store) -> None:
    owner = await factories.account(store)
    for _ in range(3):
        session = await factories.session(store, owner, tag="tag")
        assert session == await store.read(lambda tx: tx.sessions.by_tag(owner, "tag"))
        assert await delete(store, session)


async def test_a_tag_may_be_the_id_of_a_deleted_session(store: Store) -> None:
    owner = await factories.account(store)
    first = await factories.session(store, owner)
    second = await factories.session(store, owner, tag=f"copy of {first.id}")

    assert [True, True] == [await delete(store, first), await delete(store, second)]
    assert await store.write(lambda tx: tx.sessions.add(factories.some_session(owner, first.id)))


async def test_the_rows_of_a_session_are_removed_a_few_at_a_time(store: Store) -> None:
    owner = await factories.account(store)
    (session, _), (kept, _) = await full_session(store, owner), await full_session(store, owner)
    await delete(store, session)

    assert session.id == await claim(store, "session")
    assert [2, 2, 1, 1, 1, 0] == [await remove(store, "session", session.id, 2) for _ in range(6)]
    assert await finish(store, "session", session.id)
    assert None is await claim(store, "session")
    assert MESSAGES == len(await store.messages.after(owner, kept.id, 0, 10))
    counts = await store.read(lambda tx: tx.statistics.rows())
    assert (1, 1, MESSAGES) == (counts.accounts, counts.sessions, counts.messages)


async def test_a_session_that_something_belongs_to_is_not_finished(store: Store) -> None:
    owner = await factories.account(store)
    session, _ = await full_session(store, owner)
    await delete(store, session)

    assert not await finish(store, "session", session.id)
    assert session.id == await claim(store, "session")


async def test_only_what_was_deleted_is_finished_or_claimed(store: Store) -> None:
    owner = await factories.account(store)
    session, machine = await factories.session(store, owner), await factories.machine(store, owner)
    await finish(store, "session", session.id)
    await finish(store, "machine", machine.id)

    assert [None, None] == [await claim(store, "session"), await claim(store, "machine")]
    assert session == await factories.stored_session(store, owner, session.id)
    assert machine == await factories.stored_machine(store, owner, machine.id)


async def test_the_one_deleted_first_comes_first_and_a_postponed_one_when_it_is_due(store: Store) -> None:
    owner = await factories.account(store)
    one, other = await factories.session(store, owner), await factories.session(store, owner)
    await store.write(lambda tx: tx.sessions.delete(owner, other.id, Millis(NOW + 1)))
    await store.write(lambda tx: tx.sessions.delete(owner, one.id, NOW))

    assert one.id == await claim(store, "session")
    await store.write(lambda tx: tx.deletions.postpone("session", one.id, Millis(LATER + 1)))
    assert other.id == await claim(store, "session")
    await finish(store, "session", other.id)
    assert None is await claim(store, "session")
    assert one.id == await claim(store, "session", Millis(LATER + 1))


# -- machines ----------------------------------------------------------------------------------------------


async def machine_with_keys(store: Store, owner: AccountId, keys: int) -> tuple[MachineId, SessionId]:
    machine = await factories.machine(store, owner)
    sessions = [factories.some_session(owner) for _ in range(keys)]

    async def fill(tx: Transaction) -> None:
        for session in sessions:
            await tx.sessions.add(session)
            await tx.access_keys.add(owner, session.id, machine.id, f"key {session.id}", "data", NOW)

    await store.write(fill)
    return machine.id, sessions[0].id


async def test_a_machine_with_many_access_keys_is_hidden_until_they_are_removed(store: Store) -> None:
    owner = await factories.account(store)
    machine, session = await machine_with_keys(store, owner, 130)
    deleted = await store.write(lambda tx: tx.machines.delete(owner, machine, NOW))

    assert deleted
    assert await store.read(lambda tx: tx.machines.hidden(machine))
    assert None is await store.read(lambda tx: tx.machines.get(owner, machine))
    assert [] == await store.read(lambda tx: tx.machines.owned(owner))
    assert not await store.read(lambda tx: tx.access_keys.reachable(owner, session, machine))
    assert not await store.write(lambda tx: tx.machines.delete(owner, machine, NOW))
    for kind in ("swap_metadata", "swap_daemon_state"):
        with pytest.raises(NotFound):
            await store.write(lambda tx: getattr(tx.machines, kind)(owner, machine, 1, "m", NOW))  # noqa: B023
    assert machine == await claim(store, "machine")
    assert [20, 10, 0] == [await remove(store, "machine", machine, 20) for _ in range(3)]
    assert await finish(store, "machine", machine)
    assert await store.write(lambda tx: tx.machines.add(factories.some_machine(owner, machine)))


# -- several replicas --------------------------------------------------------------------------------------


@pytest.mark.services
async def test_replicas_do_not_wait_for_each_other_to_remove_what_was_deleted(
    migrated_postgres: str,
) -> None:
    async with full_opener(migrated_postgres)() as store:
        owner = await factories.account(store)
        one, other = await factories.session(store, owner), await factories.session(store, owner)
        await store.write(lambda tx: tx.sessions.delete(owner, one.id, NOW))
        await store.write(lambda tx: tx.sessions.delete(owner, other.id, Millis(NOW + 1)))
        replica = await asyncpg.connect(migrated_postgres)
        async with replica.transaction():
            await replica.execute('SELECT FROM "Session" WHERE id = $1 FOR NO KEY UPDATE', one.id)

            assert other.id == await claim(store, "session")
            await finish(store, "session", other.id)
            assert None is await claim(store, "session")
        assert await finish(store, "session", one.id)
        await replica.execute('DELETE FROM "Account" WHERE id IN ($1, $2)', owner, "deleted-sessions")
        await replica.close()
