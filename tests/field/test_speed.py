"""What became slow with many sockets of one account, and no longer does."""

from typing import Any

import pytest

from happy.domain.events import TO_USER, Scope, SessionActivity, to_machine, to_session
from happy.domain.values import AccountId, ConnectionId, MachineId, SessionId
from happy.gateway.handshake import Handshake
from happy.gateway.history import Event
from happy.gateway.hub import Connection, Hub
from tests.seeds import NOW

OWNER = AccountId("owner")
OTHERS = 1500


class SilentSocket:
    """What the hub uses of an engine's socket."""

    def __init__(self, name: str) -> None:
        self.id = name

    def send(self, packet: bytes, *, soon: bool = False) -> None:
        pass


class CountedConnection(Connection):
    """Notes in `asked` when it is asked whether it receives an event."""

    asked: list[str]

    def lacks(self, event: Event) -> bool:
        self.asked.append(self.id)
        return super().lacks(event)


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
    assert not hub.watches(OWNER)


def join(hub: Hub, asked: list[str], name: str, scope: Scope) -> Connection:
    socket: Any = SilentSocket(name)
    target = "" if scope == "user" else name
    handshake = Handshake("token", scope, target, explicit_user=False, foreground=False, client="test")
    connection = CountedConnection(socket, OWNER, handshake)
    connection.asked, connection.id = asked, ConnectionId(name)
    hub.add(connection)
    return connection
