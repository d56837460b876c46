"""A database that does not keep up: callers are told so, in bounded time, and only so many wait."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import asyncpg
import pytest
import pytest_asyncio

from tests.support.api_client import ApiClient
from tests.support.cluster import Replica, cluster
from tests.support.raw_http import RawResponse, exchange

pytestmark = [pytest.mark.slow, pytest.mark.services, pytest.mark.asyncio(loop_scope="module")]
LONGEST = 10 + 10 + 5
"""Seconds: for others of the account, for a statement, and for a busy machine."""


@asynccontextmanager
async def stuck(replica: Replica) -> AsyncIterator[None]:
    """Nobody can read or write sessions and messages meanwhile."""
    connection = await asyncpg.connect(replica.variables["DATABASE_URL"])
    try:
        async with connection.transaction():
            await connection.execute(
                'LOCK TABLE "Session", "SessionMessage", "Machine", "Artifact", "UsageReport"'
            )
            yield
    finally:
        await connection.close()


Answers = list[tuple[float, RawResponse]]


async def at_once(api: ApiClient, port: int, requests: Sequence[tuple[str, str, bytes | None]]) -> Answers:
    """All of them on connections of their own: the answers, and after how many seconds they came."""
    headers = {"Authorization": f"Bearer {api.token}", "Content-Type": "application/json"}

    async def timed(method: str, path: str, body: bytes | None) -> tuple[float, RawResponse]:
        start = time.monotonic()
        answer = await exchange(port, method, path, headers, body)
        return time.monotonic() - start, answer

    return await asyncio.gather(*(timed(*request) for request in requests))


def refused_in_time(answers: Answers) -> bool:
    """Everybody is told to come back, and nobody waits longer than for a connection and for one statement."""
    refusals = {(answer.status, answer.headers.get("retry-after")) for _, answer in answers}
    slowest = max(seconds for seconds, _ in answers)
    return refusals == {(503, "1")} and slowest < LONGEST


def refused_at_once(answers: Answers) -> int:
    return sum(b"too many" in answer.body for _, answer in answers)


class Outcome(NamedTuple):
    """What came of everything that was asked while the database was stuck, and of a message afterwards."""

    writes: Answers
    reads: Answers
    messages: Answers
    acks: list[Any]
    afterwards: Answers


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outcome(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outcome]:
    """At once: one replica is given sessions, the other one messages and events, and asked for lists."""
    async with (
        cluster(tmp_path_factory.mktemp("overload"), 2) as (first, second),
        ApiClient.signed_in(second.url) as api,
    ):
        session, machine = str((await api.create_session())["id"]), str((await api.register_machine())["id"])
        await at_once(api, first.port, [("GET", "/v1/sessions", None)])
        appends = [("POST", f"/v3/sessions/{session}/messages", text(number)) for number in range(1300)]
        async with stuck(first):
            writes, reads, messages, acks = await asyncio.gather(
                at_once(api, first.port, [("POST", "/v1/sessions", SESSION)] * 700),
                at_once(api, second.port, [("GET", "/v1/sessions", None)] * 50),
                at_once(api, second.port, appends),
                events(api, session, machine),
            )
        yield Outcome(writes, reads, messages, acks, await at_once(api, second.port, appends[:1]))


SESSION = json.dumps({"tag": "new", "metadata": "text"}).encode()


def text(number: int) -> bytes:
    return json.dumps({"messages": [{"content": "text", "localId": str(number)}]}).encode()


async def events(api: ApiClient, session: str, machine: str) -> list[Any]:
    """Each on a socket of its own, because a socket's events take turns."""
    usage = {"key": "k", "sessionId": session, "tokens": {"total": 1}, "cost": {"total": 1}}

    async def call(event: str, payload: dict[str, Any]) -> Any:
        async with api.user_socket() as socket:
            return await socket.call(event, payload, timeout=30)

    answers = await asyncio.gather(
        call("update-state", {"sid": session, "agentState": "x", "expectedVersion": 0}),
        call("machine-update-metadata", {"machineId": machine, "metadata": "x", "expectedVersion": 1}),
        call("artifact-read", {"artifactId": "none"}),
        call("usage-report", usage),
    )
    return [*answers]


async def test_callers_of_a_stuck_database_are_refused_in_time(outcome: Outcome) -> None:
    assert refused_in_time(outcome.writes)
    # Four are handled until their statements time out, then four more; meanwhile the others are refused.
    assert refused_at_once(outcome.writes) >= len(outcome.writes) - 8


async def test_lists_of_an_account_wait_for_each_other_for_5_s_at_most(outcome: Outcome) -> None:
    assert refused_in_time(outcome.reads)
    assert 46 == sum(b"too many requests of this account" in answer.body for _, answer in outcome.reads)


async def test_messages_to_a_stuck_database_waited_for_each_other_for_minutes(outcome: Outcome) -> None:
    assert refused_in_time(outcome.messages)
    assert refused_at_once(outcome.messages) > 100
    assert 200 == outcome.afterwards[0][1].status


async def test_events_that_want_an_answer_get_their_error(outcome: Outcome) -> None:
    internal = {"result": "error", "message": "Internal error"}
    usage = {"success": False, "error": "Failed to save usage report"}

    assert [{"result": "error"}, internal, internal, usage] == outcome.acks
