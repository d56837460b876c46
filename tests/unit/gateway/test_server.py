"""What the gateway knows of a client that comes back, without an engine."""

from typing import Any, cast

import msgspec

from happy.domain.events import TO_USER
from happy.domain.ports.pubsub import Origin
from happy.domain.positions import Position
from happy.domain.values import AccountId, NodeId
from happy.gateway import frame
from happy.gateway.frame import Frame
from happy.gateway.hub import Hub
from happy.gateway.server import Gateway
from tests.unit.gateway.test_elsewhere import HERE, OWNER, THERE, World


class Nobody:
    """Presence, identity and activity for one account in which nothing happens."""

    def share(self, hub: Hub) -> None:
        pass

    async def authenticate(self, token: str) -> AccountId:
        return OWNER


class FakeSocket:
    """What the gateway uses of an engine's socket."""

    def __init__(self) -> None:
        self.id = "phone"
        self.private_id = ""
        self.data: Any = None
        self.closed = False
        self.sent: list[bytes] = []

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        self.sent.append(packet)

    def close(self) -> None:
        self.closed = True


async def test_who_cannot_take_up_is_not_told_again_what_another_node_told_it() -> None:
    world, nobody, socket = World(), cast("Any", Nobody()), FakeSocket()
    hub = Hub(world.after)
    gateway = Gateway(HERE, hub, nobody, nobody, nobody)
    told = Position("2e", 5, {THERE: 7})
    auth = {"token": "t", "clientType": "user-scoped", "pid": "gone", "offset": f"tag.1-{told.text()}"}
    await gateway.connect(cast("Any", socket), msgspec.Raw(msgspec.json.encode(auth)), {})
    for sender, number in ((THERE, 7), (THERE, 8), (NodeId("0c" * 8), 7)):
        late = Frame(TO_USER, None, "update", f'"{sender} {number}"'.encode())
        hub.on_frame(OWNER, frame.encode(late), Origin(sender, number, world.shared.now()))

    names = [msgspec.json.decode(packet[2:])[1] for packet in socket.sent]
    assert [f"{THERE} 8", f"{NodeId('0c' * 8)} 7"] == names
    gateway.close()
