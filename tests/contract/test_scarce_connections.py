"""A PostgreSQL that has no connection left: a server goes on with those it has."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import asyncpg
import pytest

from happy.adapters.full.postgres import schema
from happy.adapters.full.postgres.pool import PoolSettings
from happy.adapters.full.postgres.store import open_store
from happy.domain.errors import Unavailable
from tests.support import factories

pytestmark = [pytest.mark.slow, pytest.mark.services]
NewDatabase = Callable[[], Awaitable[str]]
LIMIT = 3


@pytest.fixture
async def url(new_postgres: NewDatabase) -> AsyncIterator[str]:
    """Of a user who may open so many connections and no more."""
    made = await new_postgres()
    await schema.prepare(made)
    name, password = f"happy_test_{secrets.token_hex(8)}", secrets.token_hex(8)
    owner = await asyncpg.connect(made)
    await owner.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{password}' CONNECTION LIMIT {LIMIT}")
    await owner.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {name}")
    parts = urlsplit(made)
    yield parts._replace(netloc=f"{name}:{password}@{parts.hostname}:{parts.port or 5432}").geturl()
    await owner.execute(f"DROP OWNED BY {name}; DROP ROLE {name}")
    await owner.close()


async def test_callers_were_refused_although_connections_were_there(url: str) -> None:
    async with open_store(url) as store:
        owner = await factories.account(store)
        session = await factories.session(store, owner)

        async def work() -> None:
            await store.read(lambda tx: tx.accounts.existing([owner]))
            await store.write(lambda tx: tx.accounts.next_seq(owner, 1, factories.NOW))
            await store.messages.append(owner, session.id, [factories.draft()], factories.NOW)

        await asyncio.gather(*(work() for _ in range(60)))

        assert 60 == len(await store.messages.after(owner, session.id, 0, 100))


async def test_a_caller_that_gets_no_connection_in_time_is_refused(url: str) -> None:
    async with open_store(url, PoolSettings(acquire=0.3)) as store:
        held = [store.connection() for _ in range(LIMIT)]
        for connection in held:
            await connection.__aenter__()
        with pytest.raises(Unavailable):
            await store.ping()
        for connection in held:
            await connection.__aexit__(None, None, None)

        await store.ping()
