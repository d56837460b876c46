"""Who receives what, whoever causes it (protocol: realtime#rooms, realtime#recipient-filters)."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.gateway.harness import now, settle, unread, unscoped
from tests.support.api_client import ApiClient
from tests.support.socket_client import SocketClient

USERS = {"phone", "tool"}


class Household:
    """A connection of every kind to one account, and one of another account."""

    def __init__(self, api: ApiClient, sid: str, mid: str) -> None:
        self.api, self.sid, self.mid = api, sid, mid
        self.sockets: dict[str, SocketClient] = {}

    def __getitem__(self, name: str) -> SocketClient:
        return self.sockets[name]

    async def should_receive(self, name: str, kind: str) -> set[str]:
        """Who received exactly one event, which has this name and body."""
        await settle(*self.sockets.values())
        receivers = set()
        for who, socket in self.sockets.items():
            events = socket.take()
            if events:
                (event,) = events
                body = event.payload["body"] if event.name == "update" else event.payload
                assert (name, kind) == (event.name, body.get("t") or body.get("type"))
                receivers.add(who)
        return receivers


@pytest.fixture
async def house(api: ApiClient, stranger: ApiClient, sid: str, mid: str) -> AsyncIterator[Household]:
    made = Household(api, sid, mid)
    other_session = (await api.create_session())["id"]
    other_machine = (await api.register_machine())["id"]
    opening = {
        "phone": api.user_socket(),
        "tool": unscoped(api),
        "session": api.session_socket(sid),
        "twin": api.session_socket(sid),
        "other session": api.session_socket(other_session),
        "machine": api.machine_socket(mid),
        "other machine": api.machine_socket(other_machine),
        "stranger": stranger.session_socket(sid),
        "strange machine": stranger.machine_socket(mid),
        "strange user": stranger.user_socket(),
    }
    async with AsyncExitStack() as stack:
        for name, socket in opening.items():
            made.sockets[name] = await stack.enter_async_context(socket)
        await unread(*made.sockets.values())
        yield made


Cause = Callable[[Household], Awaitable[Any]]
SESSION = {"session", "twin"}
CASES: list[tuple[str, str, set[str], Cause]] = [
    ("update", "new-message", USERS | SESSION, lambda h: h.api.post_messages(h.sid, ["text"])),
    (
        "update",
        "new-message",
        USERS | {"twin"},
        lambda h: h["session"].emit("message", {"sid": h.sid, "message": "c"}),
    ),
    (
        "update",
        "new-message",
        {"phone"} | SESSION,
        lambda h: h["tool"].emit("message", {"sid": h.sid, "message": "c"}),
    ),
    (
        "update",
        "update-session",
        USERS | SESSION,
        lambda h: h["session"].call("update-metadata", {"sid": h.sid, "metadata": "m", "expectedVersion": 0}),
    ),
    (
        "update",
        "update-session",
        USERS | SESSION,
        lambda h: h["machine"].call("update-state", {"sid": h.sid, "agentState": "s", "expectedVersion": 0}),
    ),
    (
        "update",
        "update-machine",
        USERS | {"machine"},
        lambda h: h["machine"].call(
            "machine-update-state", {"machineId": h.mid, "daemonState": "s", "expectedVersion": 0}
        ),
    ),
    (
        "update",
        "update-machine",
        USERS | {"machine"},
        lambda h: h["session"].call(
            "machine-update-metadata", {"machineId": h.mid, "metadata": "m", "expectedVersion": 1}
        ),
    ),
    ("update", "new-session", USERS, lambda h: h.api.create_session()),
    ("update", "delete-session", USERS, lambda h: h.api.delete(f"/v1/sessions/{h.sid}")),
    ("update", "delete-machine", USERS, lambda h: h.api.delete(f"/v1/machines/{h.mid}")),
    (
        "update",
        "update-account",
        USERS,
        lambda h: h.api.post("/v1/account/settings", {"settings": "s", "expectedVersion": 0}),
    ),
    (
        "ephemeral",
        "activity",
        USERS,
        lambda h: h["session"].emit("session-alive", {"sid": h.sid, "time": now()}),
    ),
    (
        "ephemeral",
        "activity",
        USERS,
        lambda h: h["session"].emit("session-end", {"sid": h.sid, "time": now()}),
    ),
    ("ephemeral", "activity", USERS, lambda h: h.api.post(f"/v1/sessions/{h.sid}/archive")),
    (
        "ephemeral",
        "machine-activity",
        USERS,
        lambda h: h["machine"].emit("machine-alive", {"machineId": h.mid, "time": now()}),
    ),
]


@pytest.mark.parametrize(("name", "kind", "hearing", "cause"), CASES)
async def test_an_event_reaches_exactly_its_recipients(
    house: Household, name: str, kind: str, hearing: set[str], cause: Cause
) -> None:
    await cause(house)

    assert hearing == await house.should_receive(name, kind)


async def test_a_new_machine_is_announced_to_the_user_and_then_to_the_machine(house: Household) -> None:
    async with house.api.machine_socket("brand-new") as daemon:
        await house.api.register_machine("brand-new", daemon_state="up")
        await settle(house["phone"], daemon)
        kinds = {
            who: [body["t"] for body in socket.updates()]
            for who, socket in (("phone", house["phone"]), ("daemon", daemon), ("machine", house["machine"]))
        }

    assert {"phone": ["new-machine", "update-machine"], "daemon": ["update-machine"], "machine": []} == kinds


async def test_a_closed_connection_receives_nothing_and_the_others_go_on(house: Household) -> None:
    for gone in ("session", "tool", "stranger"):
        await house.sockets.pop(gone).close()
    await house.api.post_messages(house.sid, ["text"])

    assert {"phone", "twin"} == await house.should_receive("update", "new-message")
