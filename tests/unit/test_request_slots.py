"""Requests of one account that are handled at once, and turns behind large answers."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from happy.http.framework.concurrency import Concurrency
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.responses import Response, ResponseSender
from happy.services.large_work import LARGE_BYTES, LargeWork

OWNER = "owner"


async def nothing(_: Any = None) -> Any:
    """Sends or handles nothing."""


class World:
    """Handles requests of one account, and notes of each whether it had the turn for large work."""

    def __init__(self) -> None:
        self.large_work = LargeWork()
        self.concurrency = Concurrency(self.large_work)
        self.in_turns: list[bool] = []

    async def request(self, size: int, method: Any = "POST") -> None:
        """One that is answered with so many bytes."""
        endpoint = Endpoint(method, "/", nothing)
        sender = ResponseSender(nothing, (), bodiless=False)
        await self.concurrency.handle(endpoint, OWNER, sender, partial(self._handle, size, sender))

    async def _handle(self, size: int, sender: ResponseSender) -> None:
        self.in_turns.append(self.large_work.in_turn)
        await asyncio.sleep(0)
        await Response(200, b"x" * size)({}, nothing, sender)


async def test_behind_a_large_answer_the_requests_of_an_account_take_turns_until_one_is_small() -> None:
    world = World()

    await at_once(*[partial(world.request, LARGE_BYTES)] * 6, *[partial(world.request, 1)] * 6)

    assert [False] * 4 == world.in_turns[:4]
    assert all(world.in_turns[4:7])
    assert False in world.in_turns[7:]


async def test_reads_take_no_turns_behind_large_answers() -> None:
    world = World()

    await at_once(*[partial(world.request, LARGE_BYTES, "GET")] * 8)

    assert not any(world.in_turns)


async def at_once(*works: Callable[[], Awaitable[None]]) -> None:
    await asyncio.gather(*(work() for work in works))
