"""What a client that is back is sent of the events it missed.

Updates are replayed all, in order. So are ephemerals that tell of something that happened (`session-event`).
Of those that tell of a state, as `activity` does, only the last one of each session or machine is true.
"""

import msgspec
from msgspec import Struct

from happy.domain.events import Ephemeral

READS_MESSAGES = "cli-coding-session/"
"""How clients call themselves that read messages over HTTP at every connect, recovered or not."""

NEW_MESSAGE = b'"body":{"t":"new-message"'
HEAD = 160
"""The kind of an update follows its id and number, which are short."""

STATES = frozenset({"activity", "machine-activity", "usage"})


State = tuple[str, str, str]
"""The type, the session or machine, and of usage the key of the report."""


class _Ephemeral(Struct, frozen=True, gc=False):
    type: str
    id: str = ""
    key: str = ""


_ephemeral = msgspec.json.Decoder(_Ephemeral).decode


def state_of(name: str, payload: bytes) -> State | None:
    """Which state an event tells of, in place of every earlier event; None if it does not tell of any."""
    if name != Ephemeral.name:
        return None
    read = _ephemeral(payload)
    return (read.type, read.id, read.key) if read.type in STATES else None


def reads_messages(client: str) -> bool:
    """Whether a client reads the messages it missed by itself: replayed too, it would have them twice."""
    return client.startswith(READS_MESSAGES)


def is_message(event: bytes) -> bool:
    """Whether an encoded `update`, or the packet around it, announces a message."""
    return event.find(NEW_MESSAGE, 0, HEAD) >= 0
