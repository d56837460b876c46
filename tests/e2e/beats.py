"""Agents that begin and stop to think all the time, and a phone that must show the last of it."""

import asyncio
import contextlib
import itertools
import random
import time
from collections.abc import AsyncIterator, Iterable

from tests.e2e.shown import View
from tests.support.official_client import OfficialSocket
from tests.support.until import until

LOOKS = 0.1
"""How often they wait until the phone shows their last signs of life, however often it is cut meanwhile."""

SHOWN_SECONDS = 90.0
"""A client that receives nothing gives up after 60 s."""


class Beats:
    """Signs of life of several sessions through one connection that is never cut."""

    def __init__(
        self, agent: OfficialSocket, sessions: Iterable[str], phone: OfficialSocket, dice: random.Random
    ) -> None:
        self.problems: list[str] = []
        self._agent = agent
        self._sessions = list(sessions)
        self._view = View(phone)
        self._dice = dice
        self._last: dict[str, bool] = {}

    @contextlib.asynccontextmanager
    async def going(self) -> AsyncIterator[None]:
        over = asyncio.Event()
        async with self._agent, asyncio.TaskGroup() as group:
            group.create_task(self._go(over))
            yield
            over.set()

    async def _go(self, over: asyncio.Event) -> None:
        for session in itertools.cycle(self._sessions):
            if over.is_set():
                break
            self._last[session] = self._dice.random() < 0.5
            alive = {"sid": session, "time": int(time.time() * 1000), "thinking": self._last[session]}
            await self._agent.emit("session-alive", alive)
            if self._dice.random() < LOOKS:
                await self._look()
            await asyncio.sleep(self._dice.uniform(0.03, 0.08))
        await self._look()

    async def _look(self) -> None:
        expected = {session: (True, thinking) for session, thinking in self._last.items()}
        try:
            await until(lambda: self._view.look().shown.sessions == expected, SHOWN_SECONDS)
        except TimeoutError:
            self.problems.append(f"a phone shows {self._view.shown.sessions} instead of {expected}")
