"""Servers whose databases hold much or little, in the same shape, filled by the databases themselves."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import sqlalchemy as sa

from happy.settings import load
from schema.tables import accounts, session_messages, sessions, usage_reports
from tests.bench.server import MeasuredServer, Run
from tests.support import filling
from tests.support.api_client import ApiClient
from tests.support.filling import moment, named, numbers, text
from tests.support.rows import Rows, open_rows
from tests.support.server_process import LIGHT_DATA

CONTENT_BYTES = 300
DAY = 86_400_000
NOW = 1_750_000_000_000
RECENT_REPORTS = 200
"""Usage reports of the day that is asked for; all others are older."""


class Amount(msgspec.Struct, frozen=True):
    """How much is stored; `long` is the number of messages of each of two sessions among the others."""

    messages: int
    sessions: int
    long: int
    reports: int

    @classmethod
    def of(cls, messages: int) -> "Amount":
        """200 messages a session, and two sessions of a tenth of all."""
        return cls(messages, max(messages // 200, 200), messages // 10, max(messages // 100, RECENT_REPORTS))

    @property
    def in_each(self) -> int:
        return max((self.messages - 2 * self.long) // self.sessions, 1)


class Stored(msgspec.Struct):
    """A running server with that much in one account."""

    server: MeasuredServer
    api: ApiClient
    rows: Rows
    amount: Amount

    @property
    def token(self) -> str:
        assert self.api.token is not None
        return self.api.token


@asynccontextmanager
async def stored(run: Run, amount: Amount) -> AsyncIterator[Stored]:
    async with filled(run, lambda rows, account: _fill(rows, account, amount)) as (server, api, rows):
        yield Stored(server, api, rows, amount)


Fill = Callable[[Rows, str], Awaitable[None]]
"""Adds rows for an account, by its id."""


@asynccontextmanager
async def filled(run: Run, fill: Fill) -> AsyncIterator[tuple[MeasuredServer, ApiClient, Rows]]:
    """A running server, a client of one account, and its database, filled while the server was stopped."""
    async with run.server() as server, ApiClient.signed_in(server.url) as api:
        await server.stop()
        variables = {**server.environment(), LIGHT_DATA: str(server.database.parent)}
        settings = load(variables, flavor=run.flavor)
        async with open_rows(settings) as rows:
            ((account,),) = await rows(sa.select(accounts.c.id))
            await fill(rows, account)
            await rows(sa.text("PRAGMA wal_checkpoint(TRUNCATE)" if run.light else "VACUUM ANALYZE"))
            await server.start()
            yield server, api, rows


async def _fill(rows: Rows, account: str, amount: Amount) -> None:
    index = numbers(amount.sessions) - 1
    await _add_sessions(
        rows, account, named("session-", index), amount.in_each, sa.literal(NOW, sa.BigInteger) + index
    )
    for name in ("long-1", "long-2"):
        await _add_sessions(rows, account, text(name), amount.long, NOW)
        await filling.messages(rows, session_messages, text(name), numbers(amount.long), CONTENT_BYTES)
    # One after the other in all sessions, as they come in real life.
    number = numbers(amount.in_each * amount.sessions)
    turn = (number - 1) // amount.sessions
    session_id = named("session-", number - 1 - turn * amount.sessions)
    await filling.messages(rows, session_messages, session_id, turn + 1, CONTENT_BYTES)
    await _add_reports(rows, account, amount)


async def _add_sessions(rows: Rows, account: str, name: Any, seq: int, at: Any) -> None:
    columns = {
        "id": name,
        "tag": name,
        "account_id": text(account),
        "metadata": text("m" * 300),
        "seq": sa.literal(seq, sa.Integer),
        "active": sa.false(),
        "last_active_at": moment(at),
        "created_at": moment(at),
        "updated_at": moment(at),
    }
    await filling.insert(rows, sessions, columns)


async def _add_reports(rows: Rows, account: str, amount: Amount) -> None:
    """As many as there are recent ones within the last day, the others up to years before it."""
    number = numbers(amount.reports)
    columns = {
        "id": named("report-", number),
        "key": named("key-", number),
        "account_id": text(account),
        "session_id": text("session-1"),
        "data": filling.json('{"tokens":{"total":100,"input":60},"cost":{"total":1.5}}'),
        "created_at": moment(NOW - sa.cast(number, sa.BigInteger) * (DAY // (RECENT_REPORTS + 1))),
        "updated_at": moment(NOW),
    }
    await filling.insert(rows, usage_reports, columns)
