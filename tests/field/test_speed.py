"""What became slow with many sockets of one account or many messages of one socket, and no longer does."""

import asyncio
from typing import Any, cast

import msgspec
import pytest

from happy.domain.events import TO_USER, Scope, SessionActivity, to_machine, to_session
from happy.domain.ports.delivery import NotDelivered
from happy.domain.sessions import encrypted_content
from happy.domain.values import AccountId, ConnectionId, MachineId, SessionId
from happy.gateway.events.large_answers import LargeAnswers
from happy.gateway.events.sessions import SessionEvents
from happy.gateway.handshake import Handshake
from happy.gateway.hub import Connection, Hub
from happy.gateway.recovery.history import Event
from happy.metrics import Metrics
from happy.services.large_work import LargeWork
from tests.support.api_client import ApiClient
from tests.support.factories import NOW
from tests.support.server_process import Server
from tests.support.socket_client import Disconnected, SocketClient

OWNER = AccountId("owner")
OTHERS = 1500
MANY = 200


class SilentSocket:
    """What the hub uses of an engine's socket."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.closed = False

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        pass


class CountedConnection(Connection):
    """Notes in `asked` when it is asked whether it receives an event."""

    asked: list[str]

    def withheld(self, event: Event) -> NotDelivered | None:
        self.asked.append(self.id)
        return super().withheld(event)


@pytest.mark.parametrize(
    ("audience", "receivers"),
    [
        (TO_USER, ["phone"]),
        (to_session(SessionId("s7")), ["phone", "s7"]),
        (to_machine(MachineId("s7")), ["phone"]),
        (to_machine(MachineId("m")), ["phone", "m"]),
    ],
)
async def test_an_event_costs_what_its_receivers_cost_among_1500_sockets_of_the_account(
    audience: Any, receivers: list[str]
) -> None:
    """A heartbeat to one phone was compared with every socket of the account."""
    hub, asked = Hub(), list[str]()
    connections = [join(hub, asked, f"s{number}", "session") for number in range(OTHERS)]
    connections += [join(hub, asked, "m", "machine"), join(hub, asked, "phone", "user")]
    hub.publish(OWNER, SessionActivity(SessionId("s7"), active=True, active_at=NOW), audience)

    assert receivers == asked
    for connection in connections:
        hub.remove(connection)
    assert not hub.has_connections(OWNER)


def join(hub: Hub, asked: list[str], name: str, scope: Scope) -> Connection:
    socket: Any = SilentSocket(name)
    target = "" if scope == "user" else name
    handshake = Handshake("token", scope, target, explicit_user=False, foreground=False, client="test")
    connection = CountedConnection(socket, OWNER, handshake)
    connection.asked, connection.id = asked, ConnectionId(name)
    hub.add(connection)
    return connection


class StuckMessages:
    """A message service whose commits take for ever."""

    def __init__(self) -> None:
        self.begun: list[bytes] = []

    async def append(
        self, _: AccountId, __: SessionId, contents: list[tuple[str | None, bytes]], **___: Any
    ) -> None:
        self.begun.append(contents[0][1])
        await asyncio.get_running_loop().create_future()


async def test_a_message_does_not_wait_for_the_commit_of_the_one_before() -> None:
    """One sender with 8 messages in flight was a fourth as fast as 8 senders."""
    messages = StuckMessages()
    none, answers = cast("Any", None), LargeAnswers(LargeWork(), Metrics())
    events = SessionEvents(none, cast("Any", messages), none, lambda: NOW, answers)
    connection = join(Hub(), [], "s", "session")
    sent = [msgspec.Raw(b'{"sid":"s","message":"%d"}' % number) for number in range(8)]
    waits = [events.message(connection, payload, None) for payload in sent]
    await asyncio.sleep(0)

    assert [None] * 8 == waits
    assert [encrypted_content(str(number)) for number in range(8)] == messages.begun


async def stored(api: ApiClient, session_id: str) -> list[str]:
    messages = await api.messages(session_id)
    assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
    return [message["content"]["c"] for message in messages]


async def send(socket: SocketClient, session_id: str, number: int, answers: list[Any]) -> None:
    answer = await socket.call("message", {"sid": session_id, "message": str(number)})
    answers.append((number, answer["ok"], answer.get("seq")))


@pytest.mark.asyncio(loop_scope="session")
async def test_200_messages_sent_without_waiting_keep_their_order(server: Server) -> None:
    """In the log, in their answers, and as events; one that is refused keeps its position."""
    answers: list[Any] = []
    async with ApiClient.signed_in(server.url) as api:
        sid = str((await api.create_session())["id"])
        async with api.session_socket(sid) as session, api.user_socket() as phone:
            sends = [send(session, sid, number, answers) for number in range(MANY)]
            sends.insert(MANY // 2, send(session, "unknown", -1, answers))
            await asyncio.gather(*sends)
            seen = [(await phone.next_update("new-message"))["message"] for _ in range(MANY)]

        texts = [str(number) for number in range(MANY)]
        assert texts == await stored(api, sid)
        assert texts == [message["content"]["c"] for message in seen]
        assert list(range(1, MANY + 1)) == [message["seq"] for message in seen]
    assert (-1, False, None) == answers.pop(MANY // 2)
    assert [(number, True, number + 1) for number in range(MANY)] == answers


@pytest.mark.asyncio(loop_scope="session")
async def test_what_was_answered_among_200_in_flight_survives_kill_9(own_server: Server) -> None:
    answers: list[Any] = []
    async with ApiClient.signed_in(own_server.url) as api:
        sid = str((await api.create_session())["id"])
        async with api.session_socket(sid) as session:
            sending = [asyncio.create_task(send(session, sid, number, answers)) for number in range(MANY)]
            await asyncio.wait(sending[:20])
            own_server.kill()
            ended = await asyncio.gather(*sending, return_exceptions=True)
        await own_server.start()
        kept = await stored(api, sid)

    assert all(result is None or isinstance(result, Disconnected) for result in ended)
    assert 20 <= len(answers) <= len(kept)
    assert [str(number) for number in range(len(kept))] == kept
    assert [number for number, _, _ in answers] == list(range(len(answers)))


@pytest.mark.asyncio(loop_scope="session")
async def test_messages_in_flight_of_a_client_that_leaves_are_stored(server: Server) -> None:
    async with ApiClient.signed_in(server.url) as api:
        sid = str((await api.create_session())["id"])
        async with api.session_socket(sid) as session:
            for number in range(MANY):
                await session.emit("message", {"sid": sid, "message": str(number)})
        async with api.user_socket() as phone:
            while len(kept := await stored(api, sid)) < MANY:
                await phone.next_update("new-message")

    assert [str(number) for number in range(MANY)] == kept
