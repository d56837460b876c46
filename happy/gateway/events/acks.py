"""Acknowledgements: the responses to events of clients."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from happy.domain.errors import NotFound
from happy.domain.values import Swap
from happy.gateway.engine import Ack

T = TypeVar("T")
Answer = Callable[[bytes], None]
"""An `Ack`, or one that waits until those of earlier events are sent (`InFlight.in_order`)."""


def answer(ack: Answer | None, **fields: object) -> None:
    """Acknowledge an event with a JSON object, if the client gave a callback."""
    if ack is not None:
        ack(msgspec.json.encode(fields))


async def answer_swap(
    ack: Ack | None,
    part: str,
    swap: Awaitable[Swap[T]],
    *,
    missing: Mapping[str, object],
    failed: Mapping[str, object],
) -> None:
    """Acknowledge a compare-and-set with the version and value stored now, the latter under the name `part`.

    Clients wait for it without a timeout and hold a lock meanwhile, so it is sent for errors too: `missing`
    for NotFound; `failed` for any other, which is raised again.
    """
    try:
        outcome = await swap
    except NotFound:
        return answer(ack, **missing)
    except BaseException:
        answer(ack, **failed)
        raise
    current = outcome.current
    result = "success" if outcome.won else "version-mismatch"
    return answer(ack, result=result, version=current.version, **{part: current.value})
