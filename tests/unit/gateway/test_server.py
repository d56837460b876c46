"""What the gateway knows of a client that comes back, without an engine."""

from collections.abc import Callable
from typing import Any, cast

import msgspec

from happy.crypto import Claims
from happy.domain.client_address import ClientAddress
from happy.domain.events import TO_USER, DeleteSession, Update
from happy.domain.ports.cluster import Origin
from happy.domain.stream_position import StreamPosition
from happy.domain.values import ConnectionId, ReplicaId, SessionId
from happy.gateway import envelope
from happy.gateway.envelope import Envelope
from happy.gateway.hub import Hub
from happy.gateway.recovery.history import History
from happy.gateway.recovery.limits import HistoryLimits
from happy.gateway.recovery.recovery import Recovery
from happy.gateway.server import Gateway
from happy.services.token_uses import TokenUses
from tests.support.factories import NOW
from tests.unit.gateway.test_cluster_recovery import OWNER, THERE, World


class Nobody:
    """Presence, identity and activity for one account in which nothing happens but what `at_claim` does."""

    uses = TokenUses(cast("Any", None), lambda: NOW)
    at_claim: Callable[[], None] = staticmethod(lambda: None)

    def disconnected(self, connection_id: ConnectionId, *, goodbye: bool) -> None:
        pass

    async def identify(self, token: str, _: Any) -> Claims:
        return Claims(OWNER, {}, token_id=token)

    def refuses(self, claims: Claims) -> bool:
        return False

    async def claim(self, *_: object) -> None:
        self.at_claim()

    async def release(self, *_: object) -> None:
        pass


class FakeSocket:
    """What the gateway uses of an engine's socket."""

    def __init__(self) -> None:
        self.id = "phone"
        self.recovery_token = ""
        self.data: Any = None
        self.client_address = ClientAddress("192.0.2.1", "192.0.2.1")
        self.closed = False
        self.last_acknowledged = 0.0
        self.sent: list[bytes] = []

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        self.sent.append(packet)

    def close(self) -> None:
        self.closed = True


async def test_a_client_that_is_not_recovered_is_not_sent_duplicates_from_another_replica() -> None:
    world, nobody, socket = World(), cast("Any", Nobody()), FakeSocket()
    hub = Hub(world.after)
    gateway = Gateway(hub, nobody, nobody, nobody)
    received = StreamPosition("2e", 5, {THERE: 7})
    auth = {"token": "t", "clientType": "user-scoped", "pid": "gone", "offset": f"tag.1-{received.text()}"}
    await gateway.connect(cast("Any", socket), msgspec.Raw(msgspec.json.encode(auth)), {})
    for sender, number in ((THERE, 7), (THERE, 8), (ReplicaId("0c" * 8), 7)):
        late = Envelope(TO_USER, None, "update", f'"{sender} {number}"'.encode())
        hub.on_envelope(OWNER, b"".join(envelope.encode(late)), Origin(sender, number, world.shared.now()))

    names = [msgspec.json.decode(packet[2:])[1] for packet in socket.sent]
    assert [f"{THERE} 8", f"{ReplicaId('0c' * 8)} 7"] == names
    gateway.close()


async def test_what_is_published_while_a_client_is_let_in_again_reaches_it() -> None:
    """No other connection of the account is here, and this one is restoring: its events are kept."""
    hub, nobody = Hub(Recovery(History(HistoryLimits()), 120)), Nobody()
    gateway = Gateway(hub, *(cast("Any", nobody) for _ in range(3)))
    auth = {"token": "t", "clientType": "user-scoped", "appState": "active"}
    phone, back = cast("Any", FakeSocket()), cast("Any", FakeSocket())
    await gateway.connect(phone, msgspec.Raw(msgspec.json.encode(auth)), {})
    await gateway.disconnected(phone, "transport close")
    update = Update("id", 1, DeleteSession(SessionId("s")), NOW)
    nobody.at_claim = lambda: hub.publish(OWNER, update, TO_USER)
    await gateway.connect(back, msgspec.Raw(msgspec.json.encode({**auth, "pid": phone.recovery_token})), {})

    assert back.recovery_token == phone.recovery_token
    assert [msgspec.json.decode(packet[2:])[1]["body"]["t"] for packet in back.sent] == ["delete-session"]
    gateway.close()
