"""Messages from the store for clients that never read them, when no replay tells what they missed."""

from collections.abc import Iterable
from typing import Any

import msgspec

from happy.domain.errors import NotFound
from happy.domain.events import NewMessage, Update
from happy.domain.ids import update_id
from happy.domain.listing import Large
from happy.domain.sessions import Message
from happy.domain.values import AccountId, SessionId
from happy.gateway.engine import encode_event_at
from happy.gateway.handshake import Handshake
from happy.gateway.hub import Connection
from happy.gateway.recovery.cursors import Cursors, cursor_text, seq_of, split_cursor
from happy.gateway.recovery.history import Event, last_argument
from happy.gateway.recovery.replay import is_message
from happy.services.messages import MessageService

MAX_MESSAGES = 100
"""The newest of a session that are looked at: its agent writes none while its client is away."""

NEWEST = 2**31 - 1

_encode = msgspec.json.Encoder().encode


class CatchingUp(Connection):
    """Is sent a message once, though it is read from the store and announced at the same time."""

    __slots__ = ("_announced", "_given")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._announced: set[int] | None = None
        self._given: frozenset[int] = frozenset()

    def begin(self) -> None:
        """From now on it is reached by events, and messages are being read for it."""
        self._announced = set()

    def lacks(self, event: Event) -> bool:
        if not super().lacks(event):
            return False
        if (self._announced is None and not self._given) or not is_message(event.payload):
            return True
        seq = seq_of(event.payload)
        if self._announced is not None:
            self._announced.add(seq)
        return seq not in self._given

    def give(self, messages: Iterable[Message]) -> None:
        """Send what was read, except what was announced meanwhile."""
        announced, self._announced = self._announced or set(), None
        missed = [message for message in messages if message.seq not in announced]
        self._given = frozenset(message.seq for message in missed)
        for message in missed:
            update = Update(
                update_id(), message.seq, NewMessage(SessionId(self.target), message), message.created_at
            )
            self.socket.send(encode_event_at(cursor_text(message.seq), Update.name, _encode(update)))


class CatchUp:
    """Gives a client that comes back without a replay the prompts behind the last message it was sent.

    That number is in its offset, or its private id. Messages without a local id are left out: a client of
    this kind writes its own ones so, and would take them for prompts.
    """

    def __init__(self, messages: MessageService, cursors: Cursors) -> None:
        self._messages = messages
        self._cursors = cursors

    async def run(self, connection: CatchingUp, asked: Handshake, replayed: Iterable[bytes]) -> None:
        """The connection is reached by events already, and not yet answered."""
        if asked.pid and connection.socket.private_id == asked.pid:  # recovered: nothing is missing
            connection.socket.private_id = asked.private_id
            self._follow(connection, asked, replayed)
            return
        connection.begin()
        account_id, session_id = connection.account_id, SessionId(connection.target)
        limit = 1 if asked.read_up_to is None else MAX_MESSAGES
        try:
            page = await self._messages.before(account_id, session_id, NEWEST, limit)
        except NotFound:
            connection.give(())
            return
        newest = _number(page.messages[0]) if page.messages else 0
        self._cursors.follow(account_id, session_id, newest)
        connection.socket.private_id += cursor_text(newest)
        read_up_to = newest if asked.read_up_to is None else asked.read_up_to
        rows = [row for row in reversed(page.messages) if _number(row) > read_up_to]
        read = [await self._whole(account_id, session_id, row) for row in rows]
        connection.give(message for message in read if message is not None and message.local_id is not None)

    def _follow(self, connection: CatchingUp, asked: Handshake, replayed: Iterable[bytes]) -> None:
        """It may come from another replica: its offsets here, too, say how far it was sent messages."""
        if asked.read_up_to is not None:
            cursors = (split_cursor(last_argument(packet))[1] for packet in replayed)
            cursor = max(seq for seq in (asked.read_up_to, *cursors) if seq is not None)
            self._cursors.follow(connection.account_id, connection.target, cursor)

    async def _whole(
        self, account_id: AccountId, session_id: SessionId, row: Message | Large
    ) -> Message | None:
        if isinstance(row, Large):
            return await self._messages.one(account_id, session_id, _number(row))
        return row


def _number(row: Message | Large) -> int:
    return int(row.key) if isinstance(row, Large) else row.seq
