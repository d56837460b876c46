"""Helpers that the tests of this folder share: barriers, registrations, a client without a type."""

import time
from typing import Any

from tests.support.api_client import ApiClient
from tests.support.socket_client import Event, SocketClient

MINUTE = 60_000


def now() -> int:
    return int(time.time() * 1000)


async def settle(*sockets: SocketClient) -> None:
    """Returns when everything these sockets sent is processed, and has reached all of them."""
    for _ in range(2):
        for socket in sockets:
            assert await socket.call("ping") == {}


async def unread(*sockets: SocketClient) -> list[Event]:
    """What has arrived and was not read: an empty list is silence."""
    await settle(*sockets)
    return [event for socket in sockets for event in socket.take()]


def unscoped(api: ApiClient, **more: Any) -> SocketClient:
    """As control-plane tools connect: without a client type."""
    return SocketClient.open(api.url, token=api.token, **more)


async def stored_session(api: ApiClient, session_id: str) -> dict[str, Any]:
    sessions = (await api.get("/v1/sessions"))["sessions"]
    found: dict[str, Any] = next(session for session in sessions if session["id"] == session_id)
    return found


async def stored_machine(api: ApiClient, machine_id: str) -> dict[str, Any]:
    machine: dict[str, Any] = (await api.get(f"/v1/machines/{machine_id}"))["machine"]
    return machine


async def register(socket: SocketClient, method: str) -> None:
    await socket.emit("rpc-register", {"method": method})
    assert (await socket.next_event("rpc-registered")).args == [{"method": method}]
