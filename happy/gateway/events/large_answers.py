"""Events of a few bytes that may be answered with megabytes: few at once, large answers in turns.

An account stores a state of 4 MB and sends `update-state` with a wrong version over twenty sockets: each is
answered with the 4 MB. Four of them are handled at once. The other sockets wait in order, each with its next
event, and nothing more is read from them meanwhile.

protocol: realtime#ordering-guarantees
"""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from happy.domain.errors import NotFound, Unavailable
from happy.domain.values import AccountId, Swap
from happy.gateway.account_limits import refused
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.hub import Connection
from happy.gateway.in_flight import Key
from happy.limits import limit
from happy.metrics import Metrics
from happy.services.account_slots import AccountSlots
from happy.services.large_work import LARGE_BYTES, LargeWork

MAX_EVENTS = limit(
    4,
    "small events that read or update metadata, states, artifacts or access keys, handled at once",
    per="account and replica",
    then="they wait, and no more of their connections is read",
)
"""An update that comes too late is answered with what is stored."""

MAX_EVENT_WAIT = limit(
    20.0,
    "s that such an event waits for others of its account",
    per="event",
    then="the acknowledgement of a failure: `Internal error`, or `error`",
)

Text = TypeVar("Text", str, str | None)
Work = Callable[[], Coroutine[Any, Any, None]]


class SwapAnswers(NamedTuple):
    """How a compare-and-set is acknowledged: the name of its value, answers to NotFound and to failures."""

    ack: Ack | None
    part: str
    missing: Mapping[str, object]
    failed: Mapping[str, object]


class LargeAnswers:
    """Of one process."""

    def __init__(self, large_work: LargeWork, metrics: Metrics) -> None:
        self._large_work = large_work
        self._metrics = metrics
        self._large: set[AccountId] = set()  # those whose last answer was large, while they have slots
        self._slots = AccountSlots(MAX_EVENTS, MAX_EVENT_WAIT)

    def follow(
        self, connection: Connection, key: Key, work: Work, refuse: Callable[[], None], size: int = 0
    ) -> Awaitable[None] | None:
        """Start work as `InFlight.follow` does, once its account has a slot, which it keeps until it ends.

        `refuse` is called instead if none is free in time. A large event has its turn already: it is the only
        one.
        """
        if self._large_work.in_turn:
            return connection.in_flight.follow(key, work(), size)
        if self._slots.try_enter(connection.account_id):
            return self._start(connection, key, work, size)
        return self._start_later(connection, key, work, refuse, size)

    def _start(self, connection: Connection, key: Key, work: Work, size: int) -> Awaitable[None] | None:
        return connection.in_flight.follow(key, self._release_after(connection.account_id, work), size)

    async def _start_later(
        self, connection: Connection, key: Key, work: Work, refuse: Callable[[], None], size: int
    ) -> None:
        try:
            await self._slots.enter(connection.account_id)
        except Unavailable:
            refused(self._metrics, "events", connection.account_id)
            return refuse()
        room = self._start(connection, key, work, size)
        return None if room is None else await room

    async def _release_after(self, account_id: AccountId, work: Work) -> None:
        try:
            if account_id in self._large:  # reading the next costs as much as sending it
                async with self._large_work.turn(account_id):
                    await work()
            else:
                await work()
        finally:
            self._slots.release(account_id)
            if not self._slots.in_use(account_id):
                self._large.discard(account_id)

    async def answer(
        self, connection: Connection, ack: Ack | None, size: int, fields: Mapping[str, object]
    ) -> None:
        """Acknowledge an event with a JSON object, in a turn if the values in it have many bytes."""
        account_id = connection.account_id
        if size < LARGE_BYTES:
            self._large.discard(account_id)
            return answer(ack, **fields)
        if not self._large_work.in_turn:  # or the event is large itself
            self._large.add(account_id)
        if ack is None or connection.socket.closed:
            return None
        async with self._large_work.turn(account_id):
            return answer(ack, **fields)

    def swap(
        self,
        connection: Connection,
        key: Key,
        change: Callable[[], Awaitable[Swap[Text]]],
        answers: SwapAnswers,
        size: int,
    ) -> Awaitable[None] | None:
        """Apply a compare-and-set of so many bytes; acknowledge it with the version and value stored then.

        Clients wait for it without a timeout and hold a lock meanwhile, so it is acknowledged for errors too.
        """
        work = partial(self._answer_swap, connection, change, answers)
        return self.follow(connection, key, work, partial(answer, answers.ack, **answers.failed), size)

    async def _answer_swap(
        self, connection: Connection, change: Callable[[], Awaitable[Swap[Text]]], answers: SwapAnswers
    ) -> None:
        ack = answers.ack
        try:
            outcome = await change()
        except NotFound:
            return answer(ack, **answers.missing)
        except BaseException:
            answer(ack, **answers.failed)
            raise
        current = outcome.current
        result = "success" if outcome.won else "version-mismatch"
        fields = {"result": result, "version": current.version, answers.part: current.value}
        return await self.answer(connection, ack, len(current.value or ""), fields)
