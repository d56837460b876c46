"""Sends messages from the store to clients that never read them over HTTP and are not recovered."""

from collections.abc import Iterable, Set
from typing import Any

import msgspec

from happy.domain.errors import NotFound
from happy.domain.events import NewMessage, Update
from happy.domain.ids import update_id
from happy.domain.listing import Large
from happy.domain.ports.delivery import NotDelivered
from happy.domain.sessions import Message
from happy.domain.values import AccountId, SessionId
from happy.gateway.engine import encode_event_at
from happy.gateway.handshake import Handshake
from happy.gateway.hub import Connection
from happy.gateway.recovery.cursors import Cursors, cursor_text, seq_of, split_cursor
from happy.gateway.recovery.history import Event, last_argument
from happy.gateway.recovery.replay import is_message
from happy.limits import limit
from happy.services.messages import MessageService

MAX_MESSAGES = limit(
    100,
    "newest messages read from the store for a client that never reads them over HTTP",
    per="connect",
    then="older ones are not sent",
)
"""How many of the newest messages of a session are read: while an agent is away, it adds none itself."""

NEWEST = 2**31 - 1

_encode = msgspec.json.Encoder().encode


class CatchingUp(Connection):
    """Holds back messages that are announced while others are read from the store: they are sent in order."""

    __slots__ = ("_announced", "_given", "_has_up_to")

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._announced: dict[int, bytes] | None = None
        self._given: Set[int] = frozenset()
        self._has_up_to = 0

    def recovered(self, given_up_to: int | None) -> None:
        """The client was given messages up to this one from the store, so events of them are late."""
        self._has_up_to = given_up_to or 0

    def begin(self, has_up_to: int | None) -> None:
        """It is in the hub from now on, and the messages after this one are being read for it."""
        self._announced = {}
        self._has_up_to = has_up_to or 0

    def withheld(self, event: Event) -> NotDelivered | None:
        if self.id == event.skip:
            return NotDelivered.SENDER
        withheld = super().withheld(event)
        busy = self._has_up_to or self._given or self._announced is not None
        if withheld is not None or not busy or not is_message(event.payload):
            return withheld
        seq = seq_of(event.payload)
        if seq <= self._has_up_to or seq in self._given:
            return NotDelivered.ANNOUNCED_TWICE
        if self._announced is None or len(self._announced) == MAX_MESSAGES:
            return None
        self._announced[seq] = event.payload
        return NotDelivered.CATCHING_UP

    def newest(self, stored: int) -> int:
        """The newest message of those stored when they were read, and of those announced since."""
        announced: Iterable[int] = self._announced or ()
        return max([stored, *announced])

    def give(self, messages: Iterable[Message]) -> None:
        """Send these messages and those announced meanwhile. Each has its cursor alone as the offset."""
        announced, self._announced = self._announced or {}, None
        given = {message.seq: self._encoded(message) for message in messages} | announced
        self._given = given.keys()
        for seq in sorted(given):
            self.socket.send(encode_event_at(cursor_text(seq), Update.name, given[seq]))

    def _encoded(self, message: Message) -> bytes:
        body = NewMessage(SessionId(self.target), message)
        return _encode(Update(update_id(), message.seq, body, message.created_at))


class CatchUp:
    """Sends a client that is not recovered the prompts after the last message it was sent.

    The cursor at the end of its offset or recovery token names that message. Messages without a local id are
    left out: these are the client's own, and it would take them for prompts.
    """

    def __init__(self, messages: MessageService, cursors: Cursors) -> None:
        self._messages = messages
        self._cursors = cursors

    async def run(self, connection: CatchingUp, handshake: Handshake, replayed: Iterable[bytes]) -> None:
        """The connection is in the hub already, and its CONNECT is not answered yet."""
        token = handshake.recovery_token
        if token and connection.socket.recovery_token == token:  # recovered
            connection.socket.recovery_token = handshake.token_with_cursor
            connection.recovered(handshake.given_up_to)
            self._follow(connection, handshake, replayed)
            return
        connection.begin(handshake.read_up_to)
        account_id, session_id = connection.account_id, SessionId(connection.target)
        limit = 1 if handshake.read_up_to is None else MAX_MESSAGES
        try:
            page = await self._messages.before(account_id, session_id, NEWEST, limit)
        except NotFound:
            connection.give(())
            return
        newest = _number(page.messages[0]) if page.messages else 0
        read_up_to = newest if handshake.read_up_to is None else handshake.read_up_to
        rows = [row for row in reversed(page.messages) if _number(row) > read_up_to]
        read = [await self._whole(account_id, session_id, row) for row in rows]
        newest = connection.newest(newest)
        self._cursors.follow(account_id, session_id, newest)
        connection.socket.recovery_token += cursor_text(newest)
        connection.give(message for message in read if message is not None and message.local_id is not None)

    def _follow(self, connection: CatchingUp, handshake: Handshake, replayed: Iterable[bytes]) -> None:
        """It may have been on another replica: offsets that are sent here need the session's cursor too."""
        if handshake.read_up_to is not None:
            cursors = (split_cursor(last_argument(packet))[1] for packet in replayed)
            cursor = max(seq for seq in (handshake.read_up_to, *cursors) if seq is not None)
            self._cursors.follow(connection.account_id, connection.target, cursor)

    async def _whole(
        self, account_id: AccountId, session_id: SessionId, row: Message | Large
    ) -> Message | None:
        if isinstance(row, Large):
            return await self._messages.one(account_id, session_id, _number(row))
        return row


def _number(row: Message | Large) -> int:
    return int(row.key) if isinstance(row, Large) else row.seq
