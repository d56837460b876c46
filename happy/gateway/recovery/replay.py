"""Which missed events are replayed.

Updates are, all and in order; so are ephemerals that are occurrences (`session-event`). Of ephemerals that
are states (`activity`), only the last one of each session or machine is, for it replaces those before.
"""

import msgspec
from msgspec import Struct

from happy.domain.events import Ephemeral

READS_MESSAGES = "cli-coding-session/"
"""How the names of clients begin that read messages over HTTP whenever they connect, recovered or not."""

NEW_MESSAGE = b'"body":{"t":"new-message"'
HEAD = 160
"""How far into an encoded `update` its kind is looked for: it follows a short id and number."""

STATES = frozenset({"activity", "machine-activity", "usage"})


State = tuple[str, str, str]
"""What a later event replaces: type, session or machine, and the key of a usage report."""


class _Ephemeral(Struct, frozen=True, gc=False):
    type: str
    id: str = ""
    key: str = ""


_ephemeral = msgspec.json.Decoder(_Ephemeral).decode


def state_of(name: str, payload: bytes) -> State | None:
    """The state that an event replaces; None if it is not a state."""
    if name != Ephemeral.name:
        return None
    event = _ephemeral(payload)
    return (event.type, event.id, event.key) if event.type in STATES else None


def reads_messages(client: str) -> bool:
    """Whether a client reads missed messages over HTTP: a replay would give it duplicates."""
    return client.startswith(READS_MESSAGES)


def is_message(event: bytes) -> bool:
    """Whether an encoded `update`, or a packet of one, is a new message."""
    return event.find(NEW_MESSAGE, 0, HEAD) >= 0
