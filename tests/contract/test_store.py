"""The store: what a unit of work may rely on, whatever database runs it."""

import asyncio
import secrets
from functools import partial

import pytest

from happy.domain.errors import Conflict, HappyError, Invalid, NotFound, Unavailable
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId
from tests.contract.flavors import OpenStore
from tests.support import factories
from tests.support.factories import NOBODY, NOW


class Accident(Exception):
    """Something in a unit of work went wrong."""


# -- transactions ----------------------------------------------------------------------------------------


async def test_a_write_returns_what_its_body_returned(store: Store) -> None:
    owner = await factories.account(store)

    assert 1 == await store.write(lambda tx: tx.accounts.next_seq(owner, 1, NOW))


async def test_a_write_that_raises_leaves_nothing_behind(store: Store) -> None:
    owner = await factories.account(store)
    session = factories.some_session(owner)

    async def add_and_fail(tx: Transaction) -> None:
        assert await tx.sessions.add(session)
        await tx.accounts.next_seq(owner, 5, NOW)
        raise Accident

    with pytest.raises(Accident):
        await store.write(add_and_fail)

    assert None is await store.read(lambda tx: tx.sessions.get(owner, session.id))
    assert 0 == await factories.account_seq(store, owner)


async def test_a_write_that_fails_takes_nothing_of_its_neighbours_with_it(store: Store) -> None:
    owner = await factories.account(store)

    async def add(tx: Transaction, number: int) -> int:
        await tx.sessions.add(factories.some_session(owner, tag=str(number)))
        if number % 3 == 0:
            raise Accident(number)
        return number

    outcomes = await asyncio.gather(
        *(store.write(partial(add, number=number)) for number in range(30)),
        return_exceptions=True,
    )
    kept = factories.whole(await store.read(lambda tx: tx.sessions.recent(owner, 100)))

    assert {str(number) for number in range(30) if number % 3} == {session.tag for session in kept}
    assert all(isinstance(outcome, Accident) == (number % 3 == 0) for number, outcome in enumerate(outcomes))


async def test_a_write_sees_what_it_wrote_before(store: Store) -> None:
    owner = await factories.account(store)
    session = factories.some_session(owner)

    added, found = await store.write(
        factories.in_turn(lambda tx: tx.sessions.add(session), lambda tx: tx.sessions.get(owner, session.id))
    )

    assert (True, session) == (added, found)


async def test_a_read_sees_one_snapshot(store: Store) -> None:
    owner = await factories.account(store)
    session = await factories.session(store, owner)

    async def read_twice(tx: Transaction) -> tuple[object, object]:
        return await tx.sessions.get(owner, session.id), await tx.sessions.by_tag(owner, session.tag)

    first, second = await store.read(read_twice)

    assert first == second == session


async def test_what_was_written_is_there_for_every_later_read(store: Store) -> None:
    owner = await factories.account(store)

    for number in range(20):
        session = await factories.session(store, owner, tag=str(number))
        assert session == await factories.stored_session(store, owner, session.id)


@pytest.mark.parametrize("how", ["read", "write"])
async def test_a_body_that_awaits_anything_else_fails_loudly(store: Store, how: str) -> None:
    foreign: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def wait_for_somebody_else(_: Transaction) -> None:
        await foreign

    run = store.read if how == "read" else store.write
    with pytest.raises(RuntimeError, match="nothing but its transaction"):
        await run(wait_for_somebody_else)

    assert isinstance(await factories.account(store), str)  # and the store goes on


async def test_a_body_that_is_cut_short_cleans_up_inside_its_transaction(store: Store) -> None:
    owner = await factories.account(store)
    left = False

    async def suspend(tx: Transaction) -> None:
        nonlocal left
        try:
            await tx.accounts.next_seq(owner, 1, NOW)
            await asyncio.sleep(0)
        finally:
            left = True

    with pytest.raises(RuntimeError):
        await store.write(suspend)

    assert left
    assert 0 == await factories.account_seq(store, owner)


@pytest.mark.parametrize("how", ["read", "write"])
async def test_no_exception_of_a_body_stops_the_store(store: Store, how: str) -> None:
    async def cancel_itself(_: Transaction) -> None:
        raise asyncio.CancelledError

    run = store.read if how == "read" else store.write
    with pytest.raises(asyncio.CancelledError):
        await run(cancel_itself)

    assert isinstance(await factories.account(store), str)


async def test_a_caller_that_gives_up_disturbs_nobody(store: Store) -> None:
    owner = await factories.account(store)
    writes = [
        asyncio.create_task(store.write(lambda tx: tx.accounts.next_seq(owner, 1, NOW))) for _ in range(20)
    ]
    await asyncio.sleep(0)
    for task in writes[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*writes, return_exceptions=True)

    assert all(isinstance(seq, int) for seq in outcomes[1::2])
    assert await factories.account_seq(store, owner) >= 10


async def test_a_reader_that_gives_up_disturbs_nobody(store: Store) -> None:
    owner = await factories.account(store)
    reads = [asyncio.create_task(store.read(lambda tx: tx.accounts.existing([owner]))) for _ in range(20)]
    await asyncio.sleep(0)
    for task in reads[::2]:
        task.cancel()
    outcomes = await asyncio.gather(*reads, return_exceptions=True)

    assert [[owner]] * 10 == outcomes[1::2]


# -- errors ----------------------------------------------------------------------------------------------


async def test_a_row_for_an_unknown_account_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        await factories.session(store, NOBODY)
    with pytest.raises(NotFound):
        await factories.machine(store, NOBODY)


async def test_an_id_that_exists_is_a_conflict(store: Store) -> None:
    owner = await factories.account(store)
    first = await factories.session(store, owner)

    with pytest.raises(Conflict):
        await factories.session(store, owner, tag="another", id=first.id)


async def test_no_driver_error_reaches_the_caller(store: Store) -> None:
    async def misuse(tx: Transaction) -> None:
        await tx.accounts.next_seq(AccountId("x"), object(), NOW)  # type: ignore[arg-type]

    with pytest.raises(HappyError):
        await store.write(misuse)


# -- life ------------------------------------------------------------------------------------------------


async def test_a_store_that_is_open_answers(store: Store) -> None:
    await store.ping()


async def test_a_closed_store_is_unavailable(open_store: OpenStore) -> None:
    async with open_store() as store:
        owner = await factories.account(store)
        session = await factories.session(store, owner)

    for use in (
        store.ping(),
        store.read(lambda tx: tx.accounts.existing([owner])),
        store.write(lambda tx: tx.accounts.next_seq(owner, 1, NOW)),
        store.messages.append(owner, session.id, [factories.draft()], NOW),
        store.messages.after(owner, session.id, 0, 10),
    ):
        with pytest.raises(Unavailable):
            await use


async def test_what_was_submitted_before_the_shutdown_is_committed(open_store: OpenStore) -> None:
    async with open_store() as store:
        owner = await factories.account(store)
        writes = [
            asyncio.create_task(store.write(lambda tx: tx.accounts.next_seq(owner, 1, NOW)))
            for _ in range(50)
        ]
        await asyncio.sleep(0)
    await asyncio.gather(*writes)

    async with open_store() as again:
        assert 50 == await factories.account_seq(again, owner)


async def test_what_was_written_is_seen_through_other_connections(open_store: OpenStore) -> None:
    async with open_store() as store, open_store() as other:
        owner = await factories.account(store)
        session = await factories.session(store, owner)

        assert session == await other.read(lambda tx: tx.sessions.get(owner, session.id))


async def test_a_key_that_no_index_takes_is_refused_as_input(store: Store, flavor: str) -> None:
    owner = await factories.account(store)
    session = factories.some_session(owner, tag=secrets.token_hex(5_000))
    if flavor == "light":  # where an index takes any
        assert await store.write(lambda tx: tx.sessions.add(session))
        return
    with pytest.raises(Invalid):
        await store.write(lambda tx: tx.sessions.add(session))


async def test_two_stores_on_one_database_take_turns(open_store: OpenStore) -> None:
    async with open_store() as one, open_store() as other:
        owner = await factories.account(one)
        taken = await asyncio.gather(
            *(
                store.write(lambda tx: tx.accounts.next_seq(owner, 1, NOW))
                for store in (one, other)
                for _ in range(25)
            )
        )

    assert list(range(1, 51)) == sorted(taken)
