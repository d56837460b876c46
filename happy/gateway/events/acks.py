"""Acknowledgements: the responses to events of clients."""

from collections.abc import Callable

import msgspec

Answer = Callable[[bytes], None]
"""An `Ack`, or one that waits until those of earlier events are sent (`InFlight.in_order`)."""


def answer(ack: Answer | None, **fields: object) -> None:
    """Acknowledge an event with a JSON object, if the client gave a callback."""
    if ack is not None:
        ack(msgspec.json.encode(fields))
