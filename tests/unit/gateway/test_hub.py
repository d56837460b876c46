"""Who of an account's connections receives what, and which of them serves a call."""

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from happy.adapters.memory import MemoryBus
from happy.domain.events import (
    TO_USER,
    Audience,
    DeleteSession,
    Scope,
    SessionActivity,
    Update,
    to_machine,
    to_session,
)
from happy.domain.ports.cluster import Origin
from happy.domain.values import AccountId, ConnectionId, MachineId, ReplicaId, SessionId
from happy.gateway.engine import SocketClosed
from happy.gateway.handshake import Handshake
from happy.gateway.hub import Connection, Hub
from tests.support.factories import NOW

OWNER, STRANGER = AccountId("owner"), AccountId("stranger")
NOBODY = ConnectionId("nobody")
UPDATE = Update("id", 1, DeleteSession(SessionId('a"\u2028ü')), NOW)
EPHEMERAL = SessionActivity(SessionId("s"), active=True, active_at=NOW)


class FakeSocket:
    """What the hub uses of an engine's socket."""

    def __init__(self, name: str) -> None:
        self.id = name
        self.closed = False
        self.sent: list[bytes] = []
        self.requests: list[tuple[str, bytes]] = []
        self.on_response: Callable[[msgspec.Raw | SocketClosed | None], None] | None = None

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        self.sent.append(packet)

    def request(
        self, name: str, payload: bytes, on_response: Callable[[msgspec.Raw | SocketClosed | None], None]
    ) -> int:
        self.requests.append((name, payload))
        self.on_response = on_response
        return len(self.requests)

    def cancel_request(self, number: int) -> None:
        assert number == len(self.requests)
        self.on_response = None


class RecordingBus(MemoryBus):
    has_peers = True

    def __init__(self) -> None:
        self.envelopes: list[tuple[AccountId, bytes]] = []

    def publish(self, account_id: AccountId, *envelope: bytes) -> None:
        self.envelopes.append((account_id, b"".join(envelope)))


@pytest.fixture
async def hub() -> Hub:
    return Hub()


def join(
    hub: Hub, name: str, scope: Scope = "user", target: str = "", owner: AccountId = OWNER
) -> tuple[Connection, Any]:
    socket: Any = FakeSocket(name)
    asked = Handshake("token", scope, target, explicit_user=False, foreground=False, client="test")
    connection = Connection(socket, owner, asked)
    hub.add(connection)
    return connection, socket


# -- events ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("audience", "hearing"),
    [
        (TO_USER, {"phone", "laptop"}),
        (to_session(SessionId("s")), {"phone", "laptop", "session"}),
        (to_session(SessionId("other")), {"phone", "laptop"}),
        (to_machine(MachineId("m")), {"phone", "laptop", "machine"}),
        (to_machine(MachineId("s")), {"phone", "laptop"}),
    ],
)
async def test_an_event_reaches_its_audience_once(hub: Hub, audience: Audience, hearing: set[str]) -> None:
    sockets = [
        join(hub, "phone")[1],
        join(hub, "laptop")[1],
        join(hub, "session", "session", "s")[1],
        join(hub, "machine", "machine", "m")[1],
        join(hub, "stranger", owner=STRANGER)[1],
    ]
    hub.publish(OWNER, UPDATE, audience)

    assert hearing == {socket.id for socket in sockets if socket.sent}
    assert all(len(socket.sent) <= 1 for socket in sockets)


async def test_an_event_is_encoded_once_for_all(hub: Hub) -> None:
    sockets = [join(hub, str(number))[1] for number in range(3)]
    hub.publish(OWNER, UPDATE, TO_USER)
    packets = [socket.sent[0] for socket in sockets]

    assert all(packet is packets[0] for packet in packets)
    assert ["update", msgspec.to_builtins(UPDATE)] == msgspec.json.decode(packets[0][2:])
    assert packets[0].startswith(b"42")


async def test_a_sender_can_be_skipped(hub: Hub) -> None:
    sockets = [join(hub, name)[1] for name in ("sender", "other")]
    hub.publish(OWNER, EPHEMERAL, TO_USER, skip=ConnectionId("sender"))

    assert [0, 1] == [len(socket.sent) for socket in sockets]
    assert ["ephemeral", msgspec.to_builtins(EPHEMERAL)] == msgspec.json.decode(sockets[1].sent[0][2:])


async def test_an_account_without_connections_receives_nothing(hub: Hub) -> None:
    connection, socket = join(hub, "gone")
    hub.remove(connection)
    hub.remove(connection)
    hub.publish(OWNER, UPDATE, TO_USER)

    assert [] == socket.sent
    assert not hub.has_connections(OWNER)
    assert {} == hub._accounts


async def test_an_account_is_subscribed_until_its_last_connection_closes(hub: Hub) -> None:
    one, _ = join(hub, "one")
    other, _ = join(hub, "other")
    hub.remove(one)
    still = hub.has_connections(OWNER)
    hub.remove(other)

    assert (True, False) == (still, hub.has_connections(OWNER))


@pytest.mark.parametrize("skip", [None, ConnectionId("phone")])
async def test_another_replica_delivers_the_same_bytes_to_the_same_audience(
    skip: ConnectionId | None,
) -> None:
    bus, elsewhere = RecordingBus(), Hub()
    hub = Hub(bus=bus)
    here = join(hub, "here")[1]
    there = [
        join(elsewhere, "phone")[1],
        join(elsewhere, "session", "session", "s")[1],
        join(elsewhere, "machine", "machine", "m")[1],
    ]
    hub.publish(OWNER, UPDATE, to_session(SessionId("s")), skip=skip)
    ((account_id, envelope),) = bus.envelopes
    elsewhere.on_envelope(account_id, envelope, Origin(ReplicaId("replica"), 1, NOW))

    assert [[] if skip else here.sent, here.sent, []] == [socket.sent for socket in there]
    assert 1 == len(here.sent)


# -- calls -------------------------------------------------------------------------------------------------


def serving(hub: Hub, besides: ConnectionId = NOBODY, method: str = "m") -> str | None:
    best = hub.registrations.serving(OWNER, method, besides=besides)
    return None if best is None else best.id


async def test_e13_the_oldest_registration_served_half_open_as_it_was(hub: Hub) -> None:
    old, _ = join(hub, "old", "machine", "x")
    new, _ = join(hub, "new", "machine", "x")
    for connection in (old, new):
        hub.registrations.register(connection, "m")
    before = serving(hub)
    hub.registrations.register(old, "m")

    assert ("new", "old") == (before, serving(hub))


async def test_b14_any_device_could_take_over_a_machines_connection(hub: Hub) -> None:
    machine, _ = join(hub, "machine", "machine", "x")
    session, _ = join(hub, "session", "session", "x")
    user, _ = join(hub, "user")
    chosen = []
    for connection in (machine, session, user):
        hub.registrations.register(connection, "m")
    for connection in (machine, session, user):
        chosen.append(serving(hub))
        hub.registrations.unregister(connection, "m")

    assert ["machine", "session", "user"] == chosen
    assert None is serving(hub)
    assert {} == hub.registrations._serving


async def test_the_caller_is_no_target(hub: Hub) -> None:
    caller, _ = join(hub, "caller", "machine", "x")
    other, _ = join(hub, "other")
    hub.registrations.register(caller, "m")
    alone = serving(hub, caller.id)
    hub.registrations.register(other, "m")

    assert (None, "other") == (alone, serving(hub, caller.id))
    assert caller is hub.registrations.serves(OWNER, "m", caller.id)
    assert not hub.registrations.serves(OWNER, "n", caller.id)
    assert not hub.registrations.serves(STRANGER, "m", caller.id)


async def test_registrations_vanish_with_their_connection(hub: Hub) -> None:
    connection, _ = join(hub, "daemon")
    for method in ("m", "n"):
        hub.registrations.register(connection, method)
    hub.remove(connection)

    assert (None, None) == (serving(hub), serving(hub, method="n"))
    assert {} == hub.registrations._serving


async def test_a_connection_that_has_closed_serves_nothing_even_before_its_end_is_processed(hub: Hub) -> None:
    connection, socket = join(hub, "daemon")
    hub.registrations.register(connection, "m")
    socket.closed = True

    assert None is serving(hub)


async def test_registering_is_per_account(hub: Hub) -> None:
    foreign, _ = join(hub, "foreign", owner=STRANGER)
    hub.registrations.register(foreign, "m")

    assert None is serving(hub)


async def test_unregistering_what_was_not_registered_is_fine(hub: Hub) -> None:
    connection, _ = join(hub, "daemon")
    hub.registrations.unregister(connection, "m")
    hub.registrations.register(connection, "m")
    hub.registrations.unregister(connection, "m")
    hub.registrations.unregister(connection, "m")

    assert {} == hub.registrations._serving


@pytest.mark.parametrize(
    ("params", "payload"), [(None, b'{"method":"m"}'), (b"null", b'{"method":"m","params":null}')]
)
@pytest.mark.parametrize("answer", [b'{"a":1}', None])
async def test_a_request_carries_method_and_params_and_gets_the_response(
    hub: Hub, params: bytes | None, payload: bytes, answer: bytes | None
) -> None:
    connection, socket = join(hub, "daemon")
    responses: list[Any] = []
    connection.request("m", None if params is None else msgspec.Raw(params), responses.append)
    assert socket.on_response is not None
    socket.on_response(None if answer is None else msgspec.Raw(answer))

    assert [answer] == [None if response is None else bytes(response) for response in responses]
    assert [("rpc-request", payload)] == socket.requests


async def test_a_request_fails_when_its_connection_closes(hub: Hub) -> None:
    connection, socket = join(hub, "daemon")
    responses: list[Any] = []
    connection.request("m", None, responses.append)
    assert socket.on_response is not None
    socket.on_response(SocketClosed())

    assert [SocketClosed] == [type(response) for response in responses]


async def test_a_cancelled_request_gets_no_response(hub: Hub) -> None:
    connection, socket = join(hub, "daemon")
    responses: list[Any] = []
    connection.cancel_request(connection.request("m", None, responses.append))

    assert None is socket.on_response
    assert [] == responses


async def test_a_gap_concerns_those_who_were_there_before_it(hub: Hub) -> None:
    early, late = join(hub, "early")[0], join(hub, "late")[0]
    closed: list[str] = []
    for connection, since in ((early, 10), (late, 20)):
        connection.since = since
        socket: Any = connection.socket
        socket.close = lambda name=connection.id: closed.append(name)
    hub.on_resync(OWNER, 15)
    assert ["early"] == closed
    hub.on_resync(OWNER)

    assert ["early", "early", "late"] == closed
