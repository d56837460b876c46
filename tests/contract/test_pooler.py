"""Behind a pooler that shares server sessions between transactions nothing of ours gets mixed up."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from urllib.parse import urlsplit

import asyncpg
import pytest

from happy.adapters.full.postgres import schema
from happy.adapters.full.postgres.dsn import parse
from happy.adapters.full.postgres.pool import PoolSettings
from happy.adapters.full.postgres.store import open_store
from happy.domain.errors import StartupError, Unavailable
from tests.contract.existing_postgres import build, contents
from tests.support import factories
from tests.support.pgbouncer_server import own_pgbouncer
from tests.support.services import POSTGRES

pytestmark = [pytest.mark.slow, pytest.mark.services]
NewDatabase = Callable[[], Awaitable[str]]


@pytest.fixture(scope="module")
def pooler() -> Iterator[int]:
    with own_pgbouncer(POSTGRES) as port:
        yield port


def through(port: int, url: str, options: str = "?pgbouncer=true") -> str:
    return f"postgresql://anybody@127.0.0.1:{port}{urlsplit(url).path}{options}"


async def test_callers_that_outnumber_the_server_sessions_get_their_own_answers(
    pooler: int, new_postgres: NewDatabase
) -> None:
    url = through(pooler, await new_postgres())
    await schema.prepare(url)
    async with open_store(url) as store, open_store(url) as other:
        owners = [await factories.account(store) for _ in range(8)]
        sessions = [await factories.session(store, owner) for owner in owners]

        async def work(number: int) -> None:
            node, owner, mine = (store, other)[number % 2], owners[number % 8], sessions[number % 8]
            for _ in range(10):
                await node.messages.append(owner, mine.id, [factories.draft()], factories.NOW)
                found = await node.read(lambda tx: tx.sessions.get(owner, mine.id))
                assert found is not None
                assert found.id == mine.id
                await node.write(lambda tx: tx.accounts.next_seq(owner, 1, factories.NOW))

        await asyncio.gather(*(work(number) for number in range(32)))
        for owner, mine in zip(owners, sessions, strict=True):
            page = await store.messages.after(owner, mine.id, 0, 100)
            assert list(range(1, 41)) == [message.seq for message in factories.whole(page)]


async def test_several_servers_may_take_a_database_over_through_it(
    pooler: int, new_postgres: NewDatabase
) -> None:
    direct = await new_postgres()
    url = through(pooler, direct)
    await build(direct)
    rows = await contents(direct)
    await asyncio.gather(*(start(url) for _ in range(3)))
    await schema.verify(url)

    assert rows.items() <= (await contents(direct)).items()


async def start(url: str) -> None:
    async with open_store(url) as store, store.connection() as connection:
        await schema.ensure_usable(connection, parse(url))


async def test_a_setting_that_it_does_not_pass_is_named_with_the_remedy(
    pooler: int, new_postgres: NewDatabase
) -> None:
    url = through(pooler, await new_postgres(), options="")
    with pytest.raises(StartupError, match="add pgbouncer=true to DATABASE_URL"):
        await schema.prepare(url)


async def test_a_statement_that_takes_too_long_is_given_up_through_it(
    pooler: int, new_postgres: NewDatabase
) -> None:
    direct = await new_postgres()
    await schema.prepare(direct)
    blocker = await asyncpg.connect(direct)
    async with open_store(through(pooler, direct), PoolSettings(statement=0.5)) as store:
        async with blocker.transaction():
            await blocker.execute('LOCK TABLE "Account"')
            with pytest.raises(Unavailable):
                await store.ping()
        await store.ping()
    await blocker.close()


def test_a_schema_that_the_pooler_does_not_pass_on_is_refused() -> None:
    with pytest.raises(StartupError, match="ALTER ROLE"):
        parse("postgresql://somebody@localhost/happy?schema=other&pgbouncer=true")

    assert parse("postgresql://somebody@localhost/happy?schema=public&pgbouncer=true").behind_pooler
