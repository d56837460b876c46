"""Questions that end by the clock, many of them with one timer."""

import asyncio
from collections.abc import Callable

import msgspec

from happy.domain.errors import Unavailable
from happy.domain.ports.pubsub import OnReply
from happy.domain.values import AccountId, ConnectionId
from happy.services.questions import Outcome, Questions

OWNER, TARGET = AccountId("owner"), ConnectionId("target")
LONG, MOMENT = 60.0, 0.02


class Silent:
    """A connection that answers nothing by itself."""

    def __init__(self) -> None:
        self.waiting: list[OnReply] = []

    def serving(self, account_id: AccountId, method: str, *, besides: ConnectionId) -> ConnectionId | None:
        return TARGET

    def serves(self, account_id: AccountId, method: str, connection_id: ConnectionId) -> bool:
        return True

    def ask(
        self,
        account_id: AccountId,
        connection_id: ConnectionId,
        method: str,
        params: msgspec.Raw | None,
        on_reply: OnReply,
    ) -> Callable[[], object]:
        self.waiting.append(on_reply)
        return lambda: self.waiting.remove(on_reply)


def ask(questions: Questions) -> "asyncio.Future[Outcome]":
    """How it ends; to end twice is an error."""
    end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    questions.ask(OWNER, TARGET, "m", None, end.set_result)
    return end


async def test_each_question_has_its_time_though_they_share_a_timer() -> None:
    silent, clock = Silent(), asyncio.get_running_loop().time
    questions = Questions(silent, MOMENT)
    first = ask(questions)
    await asyncio.sleep(MOMENT / 2)
    asked, second = clock(), ask(questions)
    ends = [await first, await second]

    assert clock() - asked >= MOMENT
    assert [TimeoutError] * 2 == [type(end) for end in ends]
    assert [] == silent.waiting
    assert {} == questions._open


async def test_a_question_that_was_answered_does_not_time_out() -> None:
    silent = Silent()
    questions = Questions(silent, MOMENT)
    ends = [ask(questions), ask(questions)]
    silent.waiting.pop(0)(None)
    silent.waiting.pop(0)(Unavailable())
    await asyncio.sleep(MOMENT * 2)

    assert [type(None), Unavailable] == [type(end.result()) for end in ends]
    assert None is questions._timer


async def test_nothing_is_left_when_nobody_waits_any_more() -> None:
    silent = Silent()
    questions = Questions(silent, LONG)
    end = ask(questions)
    questions.close()

    assert not end.done()
    assert [] == silent.waiting
    assert {} == questions._open
    assert None is questions._timer
