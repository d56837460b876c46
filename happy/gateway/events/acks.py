"""How acknowledgements are written."""

from collections.abc import Awaitable, Callable, Mapping
from typing import TypeVar

import msgspec

from happy.domain.errors import NotFound
from happy.domain.values import Swap
from happy.gateway.engine import Ack

T = TypeVar("T")
Answer = Callable[[bytes], None]
"""An `Ack`, or one that keeps its place among others."""


def answer(ack: Answer | None, **fields: object) -> None:
    """Acknowledge with an object, if the client asked for it."""
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
    """Acknowledge a compare-and-set with what is stored now under the name `part`.

    A client waits for this answer without a time-out and holds a lock meanwhile: there is always one.
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
