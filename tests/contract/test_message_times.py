"""Creation times of a session's messages grow strictly with their numbers: clients sort by them."""

import asyncio
import random
from itertools import pairwise

from happy.domain.ports.store import Store
from happy.domain.sessions import Appended, Message, Session
from happy.domain.values import Millis
from tests.contract.flavors import OpenStore
from tests.contract.test_messages import append, everything, plain, session
from tests.support import factories
from tests.support.factories import NOW, draft

__all__ = ["session"]

WRITERS = 8


async def times(store: Store, session: Session) -> list[int]:
    stored = await everything(store, session)
    assert all(message.created_at == message.updated_at for message in stored)
    return [message.created_at for message in stored]


def grows(moments: list[int]) -> bool:
    return all(earlier < later for earlier, later in pairwise(moments))


def by_number(outcomes: list[Appended]) -> list[Message]:
    created = [message for outcome in outcomes for message in outcome.created]
    return sorted(created, key=lambda message: message.seq)


async def test_each_message_of_a_batch_of_fifty_is_later_than_the_one_before(
    store: Store, session: Session
) -> None:
    first = await append(store, session, *[None] * 50)
    second = await append(store, session, *[None] * 50, now=Millis(NOW + 10))

    assert list(range(NOW, NOW + 100)) == await times(store, session)
    assert plain(first.created + second.created) == plain(await everything(store, session))


async def test_messages_follow_the_clock_where_it_is_ahead(store: Store, session: Session) -> None:
    await append(store, session, None, None)
    await append(store, session, None, now=Millis(NOW + 500))

    assert [NOW, NOW + 1, NOW + 500] == await times(store, session)


async def test_a_clock_that_steps_back_does_not_put_a_message_before_an_earlier_one(
    store: Store, session: Session
) -> None:
    await append(store, session, "a")
    appended = await append(store, session, "a", "b", None, now=Millis(NOW - 3_600_000))

    assert [NOW + 1, NOW + 2] == [message.created_at for message in appended.created]
    assert [NOW, NOW + 1, NOW + 2] == await times(store, session)


async def test_the_time_of_a_session_that_did_not_write_is_the_clocks(store: Store, session: Session) -> None:
    other = await factories.session(store, session.account_id)
    await append(store, session, None, now=Millis(NOW + 3_600_000))
    await append(store, other, None)

    assert [NOW] == await times(store, other)


async def test_jobs_that_share_a_commit_are_strictly_ordered(store: Store, session: Session) -> None:
    other = await factories.session(store, session.account_id)
    clock = [Millis(NOW + step) for step in (0, -40, 7, 7, -3_000, 2, 0, 1)]
    outcomes = await asyncio.gather(
        *(append(store, target, None, None, now=at) for at in clock for target in (session, other))
    )

    for number, target in enumerate((session, other)):
        assert grows(await times(store, target))
        assert plain(by_number(outcomes[number::2])) == plain(await everything(store, target))


async def test_servers_with_different_clocks_write_one_strictly_ordered_session(
    open_store: OpenStore, store: Store, session: Session
) -> None:
    chance = random.Random(5)

    async def write(server: Store, ahead: int) -> list[Appended]:
        outcomes = []
        for turn in range(15):
            drafts = [draft() for _ in range(chance.randint(1, 9))]
            at = Millis(NOW + ahead + turn * 2)
            outcomes.append(await server.messages.append(session.account_id, session.id, drafts, at))
        return outcomes

    async with open_store() as other:
        servers = [(store, 0), (other, -20), (store, -5_000), (other, 300)] * (WRITERS // 4)
        written = await asyncio.gather(*(write(server, ahead) for server, ahead in servers))
        stored = await everything(other, session)

    assert grows(await times(store, session))
    assert plain(by_number([outcome for turns in written for outcome in turns])) == plain(stored)
