"""Questions that end by the clock, many of them with one timer."""

import asyncio

import msgspec

from happy.domain.errors import Unavailable
from happy.domain.ports.rpc import OnResponse
from happy.services.pending_requests import Outcome, PendingRequests

LONG, MOMENT = 60.0, 0.02


class Silent:
    """A connection that answers nothing by itself."""

    def __init__(self) -> None:
        self.waiting: dict[int, OnResponse] = {}

    def ask(self, method: str, params: msgspec.Raw | None, on_response: OnResponse) -> int:
        number = len(self.waiting)
        self.waiting[number] = on_response
        return number

    def forget(self, number: int) -> None:
        del self.waiting[number]


def ask(questions: PendingRequests, silent: Silent) -> "asyncio.Future[Outcome]":
    """How it ends; to end twice is an error."""
    end: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
    questions.ask(silent, "m", None, end.set_result)
    return end


async def test_each_question_has_its_time_though_they_share_a_timer() -> None:
    silent, clock = Silent(), asyncio.get_running_loop().time
    questions = PendingRequests(MOMENT)
    first = ask(questions, silent)
    await asyncio.sleep(MOMENT / 2)
    asked, second = clock(), ask(questions, silent)
    ends = [await first, await second]

    assert clock() - asked >= MOMENT
    assert [TimeoutError] * 2 == [type(end) for end in ends]
    assert {} == silent.waiting
    assert {} == questions._open


async def test_a_question_that_was_answered_does_not_time_out() -> None:
    silent = Silent()
    questions = PendingRequests(MOMENT)
    ends = [ask(questions, silent), ask(questions, silent)]
    silent.waiting.pop(0)(None)
    silent.waiting.pop(1)(Unavailable())
    await asyncio.sleep(MOMENT * 2)

    assert [type(None), Unavailable] == [type(end.result()) for end in ends]
    assert None is questions._timer


async def test_nothing_is_left_when_nobody_waits_any_more() -> None:
    silent = Silent()
    questions = PendingRequests(LONG)
    end = ask(questions, silent)
    questions.close()

    assert not end.done()
    assert {} == silent.waiting
    assert {} == questions._open
    assert None is questions._timer
