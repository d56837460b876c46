"""The message log: numbered without gaps, stored once, and readable while others write."""

import asyncio
import random
import secrets
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from happy.domain.errors import Invalid, NotFound
from happy.domain.listing import Large
from happy.domain.ports.store import Store
from happy.domain.sessions import Appended, Message, Session
from happy.domain.values import Millis, SessionId
from tests.contract.flavors import OpenStore
from tests.support import factories
from tests.support.factories import NOBODY, NOW, draft, text_of, whole

WRITERS = 16
LATER = Millis(NOW + 1_000)


@pytest.fixture
async def session(store: Store) -> Session:
    return await factories.session(store, await factories.account(store))


async def append(
    store: Store, session: Session, *local_ids: str | None, text: str = "secret", now: Millis = NOW
) -> Appended:
    drafts = [draft(text, local_id) for local_id in local_ids]
    return await store.messages.append(session.account_id, session.id, drafts, now)


async def everything(store: Store, session: Session) -> list[Message]:
    rows = await store.messages.after(session.account_id, session.id, 0, 10_000)
    return [await loaded(store, session, row) if isinstance(row, Large) else row for row in rows]


async def loaded(store: Store, session: Session, row: Large) -> Message:
    found = await store.messages.one(session.account_id, session.id, int(row.key))
    assert found is not None
    return found


async def session_seq(store: Store, session: Session) -> int:
    return (await factories.stored_session(store, session.account_id, session.id)).seq


def seqs(messages: Sequence[Message | Large]) -> list[int]:
    return [message.seq for message in whole(messages)]


def plain(messages: Sequence[Message | Large]) -> list[Any]:
    """What clients see: a database may write the same JSON document in another way."""
    return [msgspec.json.decode(msgspec.json.encode(message)) for message in whole(messages)]


# -- append ----------------------------------------------------------------------------------------------


async def test_messages_are_numbered_in_the_order_of_their_drafts(store: Store, session: Session) -> None:
    drafts = [draft("one", "a"), draft("two"), draft("three", "c")]
    appended = await store.messages.append(session.account_id, session.id, drafts, LATER)

    assert [] == appended.existing
    assert 3 == appended.update_seq
    assert [
        Message(sent.id, number + 1, msgspec.Raw(sent.content), sent.local_id, at, at)
        for number, (sent, at) in enumerate(zip(drafts, map(Millis, range(LATER, LATER + 3)), strict=True))
    ] == appended.created
    assert plain(appended.created) == plain(await everything(store, session))


async def test_an_append_counts_for_the_session_and_the_account(store: Store, session: Session) -> None:
    await append(store, session, None, None, now=LATER)
    await append(store, session, None, now=LATER)

    assert 3 == await factories.account_seq(store, session.account_id)
    assert msgspec.structs.replace(session, seq=3, updated_at=LATER) == await factories.stored_session(
        store, session.account_id, session.id
    )


async def test_sessions_count_apart_and_accounts_together(store: Store, session: Session) -> None:
    other = await factories.session(store, session.account_id)
    first, second = await append(store, session, None), await append(store, other, None)

    assert [1, 1] == seqs(first.created + second.created)
    assert [1, 2] == [first.update_seq, second.update_seq]


async def test_nothing_to_append_changes_nothing(store: Store, session: Session) -> None:
    assert Appended([], [], 0) == await append(store, session)
    assert 0 == await session_seq(store, session)
    assert 0 == await factories.account_seq(store, session.account_id)


async def test_contents_come_back_byte_for_byte(store: Store, session: Session) -> None:
    texts = ["", "plain", "ä\u2028😀", '"\\\n\t', "x" * 200_000]
    drafts = [draft(text) for text in texts]
    await store.messages.append(session.account_id, session.id, drafts, NOW)

    assert texts == [text_of(message) for message in await everything(store, session)]


async def test_a_foreign_session_takes_no_message(store: Store, session: Session) -> None:
    stranger = await factories.account(store)
    await append(store, session, "known")

    for who, target in ((stranger, session.id), (session.account_id, SessionId("no")), (NOBODY, session.id)):
        for local_id in (None, "new", "known"):
            with pytest.raises(NotFound):
                await store.messages.append(who, target, [draft(local_id=local_id)], NOW)
    assert [1] == seqs(await everything(store, session))
    assert 0 == await factories.account_seq(store, stranger)
    assert 1 == await factories.account_seq(store, session.account_id)


# -- duplicates ------------------------------------------------------------------------------------------


async def test_a_known_local_id_is_answered_with_the_stored_row_and_burns_no_number(
    store: Store, session: Session
) -> None:
    first = await append(store, session, "a", text="first")
    again = await append(store, session, "a", text="again", now=LATER)

    assert ([], plain(first.created), 0) == (again.created, plain(again.existing), again.update_seq)
    assert plain(first.created) == plain(await everything(store, session))
    assert 1 == await session_seq(store, session)
    assert 1 == await factories.account_seq(store, session.account_id)


async def test_known_and_new_drafts_can_come_together(store: Store, session: Session) -> None:
    await append(store, session, "b", "d")
    mixed = await append(store, session, "a", "b", "c", "d", "e")

    assert [1, 2] == seqs(mixed.existing)
    assert [("a", 3), ("c", 4), ("e", 5)] == [(message.local_id, message.seq) for message in mixed.created]
    assert 5 == mixed.update_seq


async def test_a_local_id_counts_within_its_session(store: Store, session: Session) -> None:
    other = await factories.session(store, session.account_id)
    await append(store, session, "a")

    assert [1] == seqs((await append(store, other, "a")).created)


async def test_messages_without_local_id_are_never_duplicates(store: Store, session: Session) -> None:
    await append(store, session, None, None)
    await append(store, session, None)

    assert [1, 2, 3] == seqs(await everything(store, session))


async def test_batches_that_overlap_at_once_store_every_local_id_once(store: Store, session: Session) -> None:
    chance = random.Random(7)
    pool = [f"id-{number}" for number in range(60)]
    batches = [chance.sample(pool, 12) for _ in range(WRITERS)]
    outcomes = await asyncio.gather(*(append(store, session, *batch) for batch in batches))
    stored = await everything(store, session)
    by_local_id = {message.local_id: message for message in stored}

    assert list(range(1, len(stored) + 1)) == seqs(stored)
    assert {local_id for batch in batches for local_id in batch} == set(by_local_id)
    assert len(stored) == sum(len(outcome.created) for outcome in outcomes)
    assert len(stored) == await factories.account_seq(store, session.account_id)
    for batch, outcome in zip(batches, outcomes, strict=True):
        found = outcome.created + outcome.existing
        assert Counter(batch) == Counter(message.local_id for message in found)
        assert all(plain([message]) == plain([by_local_id[message.local_id]]) for message in found)


async def test_servers_that_are_sent_the_same_messages_at_once_store_each_once(
    open_store: OpenStore, store: Store, session: Session
) -> None:
    sessions = [session, *[await factories.session(store, session.account_id) for _ in range(3)]]
    chance = random.Random(13)
    async with open_store() as other:
        for _ in range(12):
            local_ids = [f"{chance.random()}" for _ in range(3)]
            sent = [(server, target) for server in (store, other) for target in sessions for _ in range(2)]
            chance.shuffle(sent)
            outcomes = await asyncio.gather(*(append(server, target, *local_ids) for server, target in sent))

            assert len(sessions) * 3 == sum(len(outcome.created) for outcome in outcomes)
            assert all(3 == len(outcome.created + outcome.existing) for outcome in outcomes)
    for each in sessions:
        assert list(range(1, 37)) == seqs(await everything(store, each))
    assert len(sessions) * 36 == await factories.account_seq(store, session.account_id)


# -- many at once ----------------------------------------------------------------------------------------


async def test_sixteen_writers_leave_no_gap_and_no_duplicate(store: Store, session: Session) -> None:
    async def write(writer: int) -> list[Appended]:
        return [await append(store, session, f"{writer}-{turn}", None) for turn in range(15)]

    outcomes = [outcome for turns in await asyncio.gather(*map(write, range(WRITERS))) for outcome in turns]
    total = WRITERS * 15 * 2

    assert list(range(1, total + 1)) == seqs(await everything(store, session))
    assert list(range(1, total + 1)) == sorted(
        outcome.update_seq - back for outcome in outcomes for back in range(len(outcome.created))
    )
    assert total == await session_seq(store, session)
    assert total == await factories.account_seq(store, session.account_id)


async def test_a_reader_that_pages_while_sixteen_write_misses_and_repeats_nothing(
    store: Store, session: Session
) -> None:
    chance = random.Random(11)
    total = WRITERS * 90

    async def write() -> None:
        for _ in range(30):
            await append(store, session, *[None] * 3)

    async def read() -> list[int]:
        seen: list[int] = []
        async with asyncio.timeout(60):
            while len(seen) < total:
                limit = chance.randint(1, 40)
                page = await store.messages.after(
                    session.account_id, session.id, seen[-1] if seen else 0, limit
                )
                assert len(page) <= limit
                seen += seqs(page)
        return seen

    readers = [asyncio.create_task(read()) for _ in range(3)]
    await asyncio.gather(*(write() for _ in range(WRITERS)))

    for reader in readers:
        assert list(range(1, total + 1)) == await reader


async def test_an_append_that_returned_is_seen_through_another_connection(
    open_store: OpenStore, store: Store, session: Session
) -> None:
    async with open_store() as other:
        for turn in range(20):
            appended = await append(store, session, f"{turn}")
            seen = await other.messages.after(session.account_id, session.id, turn, 10)
            assert plain(appended.created) == plain(seen)


# -- pages -----------------------------------------------------------------------------------------------


async def test_pages_after_a_number_ascend(store: Store, session: Session) -> None:
    await append(store, session, *[None] * 5)
    log, owner = store.messages, session.account_id

    assert [1, 2] == seqs(await log.after(owner, session.id, 0, 2))
    assert [4, 5] == seqs(await log.after(owner, session.id, 3, 10))
    assert [] == await log.after(owner, session.id, 5, 10)
    assert [] == await log.after(owner, session.id, 2**31 - 1, 10)


async def test_pages_before_a_number_descend(store: Store, session: Session) -> None:
    await append(store, session, *[None] * 5)
    log, owner = store.messages, session.account_id

    assert [5, 4] == seqs(await log.before(owner, session.id, 2**31 - 1, 2))
    assert [2, 1] == seqs(await log.before(owner, session.id, 3, 10))
    assert [] == await log.before(owner, session.id, 1, 10)


async def test_the_newest_come_first(store: Store, session: Session) -> None:
    await append(store, session, *[None] * 3)
    await append(store, session, None, now=LATER)

    assert [4, 3] == seqs(await store.messages.newest(session.account_id, session.id, 2))


async def test_only_the_owner_reads(store: Store, session: Session) -> None:
    await append(store, session, None)
    stranger = await factories.account(store)
    log = store.messages

    for who, target in ((stranger, session.id), (session.account_id, SessionId("no")), (NOBODY, session.id)):
        with pytest.raises(NotFound):
            await log.after(who, target, 0, 10)
        with pytest.raises(NotFound):
            await log.before(who, target, 10, 10)
        with pytest.raises(NotFound):
            await log.newest(who, target, 10)


async def test_a_local_id_that_no_index_takes_is_its_own_messages_trouble(
    store: Store, session: Session, flavor: str
) -> None:
    appends = [append(store, session, local_id) for local_id in ("a", secrets.token_hex(5_000), "c")]
    _, long, _ = await asyncio.gather(*appends, return_exceptions=True)

    assert (Appended if flavor == "light" else Invalid) is type(long)
    assert {"a", "c"} <= {message.local_id for message in await everything(store, session)}
