"""A client that never reads messages gets each one once and in order, also those that come meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import msgspec
import pytest

from happy.domain.events import DeleteSession, NewMessage, Update, to_session
from happy.domain.sessions import Message, MessagePage, encrypted_content
from happy.domain.values import AccountId, MessageId, SessionId
from happy.gateway.handshake import read
from happy.gateway.hub import Hub
from happy.gateway.recovery.catch_up import CatchingUp, CatchUp
from happy.gateway.recovery.cursors import SEQ
from happy.gateway.recovery.history import History, last_argument
from happy.gateway.recovery.limits import HistoryLimits
from happy.gateway.recovery.recovery import Recovery
from tests.support.factories import NOW
from tests.unit.gateway.test_hub import FakeSocket

OWNER, SESSION = AccountId("owner"), SessionId("s")
Meanwhile = Callable[[], Awaitable[None]]


def message(seq: int) -> Message:
    content = encrypted_content(f"prompt {seq}")
    return Message(MessageId(f"m{seq}"), seq, msgspec.Raw(content), f"local {seq}", NOW, NOW)


class SlowMessages:
    """A store that has these messages, and in which other things happen while it is read."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.meanwhile: Meanwhile = lambda: asyncio.sleep(0)

    async def before(self, account_id: AccountId, session_id: SessionId, seq: int, limit: int) -> MessagePage:
        newest = [message(seq) for seq in range(self.count, max(0, self.count - limit), -1)]
        await self.meanwhile()
        return MessagePage([*newest], has_more=False)


class Phone(FakeSocket):
    """A connection that can be recovered later."""

    def __init__(self, number: int) -> None:
        super().__init__(f"connection {number}")
        self.recovery_token = f"token {number}"


class World:
    """A replica, and the clients of one session that connect to it one after another."""

    def __init__(self, stored: int) -> None:
        self.store = SlowMessages(stored)
        self.recovery = Recovery(History(HistoryLimits()), 120)
        self.hub = Hub(recovery=self.recovery)
        self.catch_up = CatchUp(cast("Any", self.store), self.recovery.cursors)
        self.connections = 0

    async def connect(self, **auth: str) -> Phone:
        """A connection that is not recovered; `auth` is what the client brings back."""
        fields = {"token": "t", "clientType": "session-scoped", "sessionId": SESSION, **auth}
        handshake = read(msgspec.Raw(msgspec.json.encode(fields)), {})
        self.connections += 1
        socket = Phone(self.connections)
        connection = CatchingUp(cast("Any", socket), OWNER, handshake)
        self.hub.add(connection)
        await self.catch_up.run(connection, handshake, ())
        return socket

    async def announce(self, *numbers: int) -> None:
        for seq in numbers:
            update = Update(f"u{seq}", seq, NewMessage(SESSION, message(seq)), NOW)
            self.hub.publish(OWNER, update, to_session(SESSION))

    async def change_session(self) -> None:
        """Any event of the session that is no message."""
        self.hub.publish(OWNER, Update("u", 99, DeleteSession(SESSION), NOW), to_session(SESSION))


def prompts(socket: FakeSocket) -> list[int]:
    return [int(found.group(1)) for packet in socket.sent if (found := SEQ.search(packet))]


def offset(socket: FakeSocket) -> str:
    """What the client brings back: the last argument of the last event."""
    return last_argument(socket.sent[-1])


@pytest.fixture
def world() -> World:
    return World(stored=3)


async def test_messages_announced_while_others_are_read_come_after_them(world: World) -> None:
    world.store.meanwhile = lambda: world.announce(5, 4)

    socket = await world.connect(offset="~1")

    assert [2, 3, 4, 5] == prompts(socket)
    await world.announce(6)
    assert [2, 3, 4, 5, 6] == prompts(socket)


async def test_messages_announced_while_others_are_read_are_not_given_at_the_next_connect(
    world: World,
) -> None:
    world.store.meanwhile = lambda: world.announce(4, 5)
    first = await world.connect(offset="~3")
    world.store.count, world.store.meanwhile = 5, world.change_session
    await world.change_session()

    second = await world.connect(offset=offset(first))

    assert [4, 5] == prompts(first)
    assert [] == prompts(second)


async def test_an_event_before_the_messages_were_read_does_not_hide_later_ones(world: World) -> None:
    world.store.meanwhile = world.change_session
    first = await world.connect()
    known = {"pid": first.recovery_token, "offset": offset(first)}
    world.store.count = 5

    second = await world.connect(**known)

    assert "~" not in known["offset"]
    assert [4, 5] == prompts(second)


async def test_a_late_event_of_a_message_that_was_given_before_is_not_sent_again(world: World) -> None:
    """The replica that stored it was slow, and the client has reconnected twice meanwhile."""
    first = await world.connect(offset="~2")
    second = await world.connect(offset=offset(first))
    await world.announce(3, 4)

    assert [3] == prompts(first)[:1]
    assert [4] == prompts(second)
