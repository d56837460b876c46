"""Message cursors: the last message sent to clients that never read messages over HTTP."""

import re
from collections import OrderedDict

from happy.domain.values import AccountId
from happy.gateway.recovery.replay import is_message
from happy.limits import limit

CURSOR_MARK = "~"
"""Comes before the cursor, at the end of offsets and recovery tokens."""

MAX_SESSIONS = limit(
    1_000,
    "sessions with a recovery cursor",
    per="account",
    then="the one connected to least recently is dropped",
)
"""Of one account with a cursor; the one connected to least recently is dropped."""

MAX_NUMBER = 8
SEQ = re.compile(rb'"message":\{"id":"[^"]*","seq":(\d+)')
SEQ_WITHIN = 400
"""How far into an encoded `update` the number of its message is looked for: it follows short ids."""


class Cursors:
    """The last message that was sent here of each session with a client that needs its cursor.

    The offset of every event of such a session ends in the number in hexadecimal: `tag.17-position~2a` comes
    with message 42, and with events after it. A client that reconnects with it has all messages up to 42.
    """

    def __init__(self) -> None:
        self._accounts: dict[AccountId, OrderedDict[str, int]] = {}

    def follow(self, account_id: AccountId, session_id: str, seq: int) -> None:
        """A client of the session has connected, and has all messages up to `seq`."""
        sessions = self._accounts.setdefault(account_id, OrderedDict())
        sessions[session_id] = max(seq, sessions.get(session_id, 0))
        sessions.move_to_end(session_id)
        if len(sessions) > MAX_SESSIONS:
            sessions.popitem(last=False)

    def after(self, account_id: AccountId, session_id: str, payload: bytes) -> str:
        """The end of the offset of this event: the cursor of clients that have received it, or nothing."""
        sessions = self._accounts.get(account_id)
        if sessions is None or session_id not in sessions:
            return ""
        cursor = sessions[session_id]
        if is_message(payload):
            found = SEQ.search(payload, 0, SEQ_WITHIN)
            if found is not None and (seq := int(found[1])) > cursor:
                cursor = sessions[session_id] = seq
        return f"{CURSOR_MARK}{cursor:x}"

    def forget(self, account_id: AccountId) -> None:
        """The account has no connection here, and no lost one that may be recovered."""
        self._accounts.pop(account_id, None)


def cursor_text(seq: int | None) -> str:
    return "" if seq is None else f"{CURSOR_MARK}{seq:x}"


def advanced(cursor: int | None, payload: bytes) -> int | None:
    """The cursor of a client, if it has one, after it was sent this event."""
    return cursor if cursor is None or not is_message(payload) else max(cursor, seq_of(payload))


def split_cursor(text: str) -> tuple[str, int | None]:
    """An offset or recovery token without the cursor at its end, and the cursor, None if there is none."""
    head, separator, digits = text.rpartition(CURSOR_MARK)
    if not separator:
        return text, None
    fits = len(digits) <= MAX_NUMBER and re.fullmatch("[0-9a-f]+", digits)
    return head, int(digits, 16) if fits else None


def seq_of(payload: bytes) -> int:
    """The number of the message in an encoded `update`, 0 if there is none."""
    found = SEQ.search(payload, 0, SEQ_WITHIN)
    return int(found.group(1)) if found else 0
