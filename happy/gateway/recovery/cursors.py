"""How far clients that never read messages over HTTP have been sent those of their session."""

import re
from collections import OrderedDict

from happy.domain.values import AccountId
from happy.gateway.recovery.replay import is_message

MARK = "~"
"""Stands before the number of a message in offsets and private ids, at their end."""

MOST_SESSIONS = 1_000
"""Of one account that are followed at a time."""

MAX_NUMBER = 8
SEQ = re.compile(rb'"message":\{"id":"[^"]*","seq":(\d+)')
SEQ_WITHIN = 400
"""The number of a message follows ids, which are short."""


class Cursors:
    """By session the last message that was announced here, for sessions of which some client relies on it.

    Every event of such a session carries the number in its offset: `tag.17-mark~2a` is sent with message 42,
    and with what follows it. A client that comes back with it has all messages up to 42.
    """

    def __init__(self) -> None:
        self._accounts: dict[AccountId, OrderedDict[str, int]] = {}

    def follow(self, account_id: AccountId, session_id: str, seq: int) -> None:
        """A client of the session is here that has all messages up to `seq`."""
        sessions = self._accounts.setdefault(account_id, OrderedDict())
        sessions[session_id] = max(seq, sessions.get(session_id, 0))
        sessions.move_to_end(session_id)
        if len(sessions) > MOST_SESSIONS:
            sessions.popitem(last=False)

    def after(self, account_id: AccountId, session_id: str, payload: bytes) -> str:
        """The end of an offset: how far whoever has been sent this event has been sent messages."""
        sessions = self._accounts.get(account_id)
        if sessions is None or session_id not in sessions:
            return ""
        cursor = advanced(sessions[session_id], payload) or 0
        sessions[session_id] = cursor
        return cursor_text(cursor)

    def forget(self, account_id: AccountId) -> None:
        """The account has no connection here, and none that may come back."""
        self._accounts.pop(account_id, None)


def cursor_text(seq: int | None) -> str:
    return "" if seq is None else f"{MARK}{seq:x}"


def advanced(cursor: int | None, payload: bytes) -> int | None:
    """The cursor of a client that has one, after it was sent this event as well."""
    return cursor if cursor is None or not is_message(payload) else max(cursor, seq_of(payload))


def split_cursor(text: str) -> tuple[str, int | None]:
    """An offset or private id without its end, and the number that the end names."""
    head, mark, digits = text.rpartition(MARK)
    if not mark:
        return text, None
    fits = len(digits) <= MAX_NUMBER and re.fullmatch("[0-9a-f]+", digits)
    return head, int(digits, 16) if fits else None


def seq_of(payload: bytes) -> int:
    """The number of the message that an encoded `update` announces."""
    found = SEQ.search(payload, 0, SEQ_WITHIN)
    return int(found.group(1)) if found else 0
