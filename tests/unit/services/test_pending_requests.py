"""Pending RPC requests: response, timeout and cancellation, with one timer for all."""

import asyncio

import msgspec

from happy.domain.errors import Unavailable
from happy.domain.ports.rpc import OnResponse, Response
from happy.services.pending_requests import PendingRequests

LONG, MOMENT = 60.0, 0.02


class SilentTarget:
    """A connection that does not respond by itself."""

    def __init__(self) -> None:
        self.callbacks: dict[int, OnResponse] = {}

    def request(self, method: str, params: msgspec.Raw | None, on_response: OnResponse) -> int:
        number = len(self.callbacks)
        self.callbacks[number] = on_response
        return number

    def cancel_request(self, number: int) -> None:
        del self.callbacks[number]


def send(pending: PendingRequests, target: SilentTarget) -> "asyncio.Future[Response]":
    """The response; a second one to the same request is an error."""
    future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    def on_response(response: Response) -> None:
        future.set_result(response)

    pending.send(target, "m", None, on_response)
    return future


async def test_each_request_has_its_own_timeout_though_they_share_a_timer() -> None:
    target, clock = SilentTarget(), asyncio.get_running_loop().time
    pending = PendingRequests(MOMENT)
    first = send(pending, target)
    await asyncio.sleep(MOMENT / 2)
    sent_at, second = clock(), send(pending, target)
    responses = [await first, await second]

    assert clock() - sent_at >= MOMENT
    assert [TimeoutError] * 2 == [type(response) for response in responses]
    assert {} == target.callbacks
    assert {} == pending._open


async def test_a_request_with_a_response_does_not_time_out() -> None:
    target = SilentTarget()
    pending = PendingRequests(MOMENT)
    futures = [send(pending, target), send(pending, target)]
    target.callbacks.pop(0)(None)
    target.callbacks.pop(1)(Unavailable())
    await asyncio.sleep(MOMENT * 2)

    assert [type(None), Unavailable] == [type(future.result()) for future in futures]
    assert None is pending._timer


async def test_closing_cancels_all_pending_requests() -> None:
    target = SilentTarget()
    pending = PendingRequests(LONG)
    future = send(pending, target)
    pending.close()

    assert not future.done()
    assert {} == target.callbacks
    assert {} == pending._open
    assert None is pending._timer
