"""Scopes and refusals of the handshake, with the official client."""

from typing import Any

import pytest

from tests.e2e.conftest import Account
from tests.support.official_client import NodeClient, sockets
from tests.support.server_process import Server
from tests.support.socket_client import ConnectRefused

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    ("auth", "text"),
    [
        ({}, "Missing authentication token"),
        ({"token": ""}, "Missing authentication token"),
        ({"token": "", "clientType": "session-scoped"}, "Missing authentication token"),
        ({"token": "x", "clientType": "session-scoped"}, "Session ID required for session-scoped clients"),
        ({"token": "x", "clientType": "machine-scoped"}, "Machine ID required for machine-scoped clients"),
        ({"token": "x", "clientType": "user-scoped"}, "Invalid authentication token"),
        ({"token": 5}, "Invalid authentication token"),
        ({"token": "x", "clientType": "machine-scoped", "machineId": "m"}, "Invalid authentication token"),
    ],
)
async def test_a_refusal_names_its_reason(
    client: NodeClient, server: Server, auth: dict[str, Any], text: str
) -> None:
    with pytest.raises(ConnectRefused) as refused:
        await client.socket(server.url, **auth).connect()

    assert str(refused.value) == text


async def test_another_namespace_is_refused(client: NodeClient, server: Server, account: Account) -> None:
    with pytest.raises(ConnectRefused) as refused:
        await client.socket(f"{server.url}/other", token=account.api.token).connect()

    assert str(refused.value) == "Invalid namespace"


async def test_a_client_name_that_is_no_text_does_no_harm(
    client: NodeClient, server: Server, account: Account
) -> None:
    socket = client.socket(
        server.url, token=account.api.token, clientType="user-scoped", happyClient={"a": 5}
    )
    async with socket:
        assert await socket.call("ping") == {}


async def test_every_scope_receives_its_events_and_no_others(account: Account, stranger: Account) -> None:
    """One of each change, and the table of protocol: realtime#recipient-filters."""
    api = account.api
    session = await api.create_session()
    machine = await api.register_machine()
    other = await api.create_session()
    async with sockets(
        account.user(),
        account.unscoped(),
        account.session(session["id"]),
        account.session(other["id"]),
        account.machine(machine["id"]),
        account.machine("another-machine"),
        stranger.user(),
        stranger.session(session["id"]),
        stranger.machine(machine["id"]),
    ) as opened:
        for socket in opened:
            await socket.unread()
        await _one_of_each_change(account, session["id"], machine["id"])
        received = [{_name(event.payload) for event in await socket.unread()} for socket in opened]

    everything = {
        "new-session", "new-message", "update-session", "delete-session", "new-machine", "update-machine",
        "delete-machine", "update-account", "activity", "machine-activity",
    }  # fmt: skip
    user, unscoped, in_session, elsewhere, on_machine, other_machine, *strangers = received
    assert user == everything
    assert unscoped == everything
    assert in_session == {"new-message", "update-session"}
    assert elsewhere == set()
    assert on_machine == {"update-machine"}
    assert other_machine == set()
    assert strangers == [set(), set(), set()]


async def _one_of_each_change(account: Account, session_id: str, machine_id: str) -> None:
    api = account.api
    deleted = await api.create_session()
    await api.delete(f"/v1/sessions/{deleted['id']}")
    await api.post_messages(session_id, ["hello"])
    removed = await api.register_machine()
    await api.delete(f"/v1/machines/{removed['id']}")
    await api.post("/v1/account/settings", {"settings": "s", "expectedVersion": 0})
    async with account.user() as sender:
        now = int((await api.get("/v1/account/profile"))["timestamp"])
        await sender.call("update-metadata", {"sid": session_id, "metadata": "m", "expectedVersion": 0})
        await sender.call("update-state", {"sid": session_id, "agentState": "s", "expectedVersion": 0})
        await sender.call(
            "machine-update-state", {"machineId": machine_id, "daemonState": "d", "expectedVersion": 0}
        )
        await sender.emit("session-alive", {"sid": session_id, "time": now, "thinking": True})
        await sender.emit("machine-alive", {"machineId": machine_id, "time": now})
        await sender.call("ping")


def _name(payload: dict[str, Any]) -> str:
    return payload["body"]["t"] if "body" in payload else payload["type"]


async def test_a_closed_socket_receives_nothing_and_others_go_on(account: Account) -> None:
    session = await account.api.create_session()
    async with account.session(session["id"]) as stays:
        leaves = account.session(session["id"])
        await leaves.connect()
        await leaves.close()
        await account.api.post_messages(session["id"], ["hello"])

        assert (await stays.next_update("new-message"))["message"]["seq"] == 1
        assert leaves.updates() == []


async def test_the_account_of_another_is_out_of_reach(account: Account, stranger: Account) -> None:
    session = await account.api.create_session()
    machine = await account.api.register_machine(daemon_state="d")
    metadata = {"sid": session["id"], "metadata": "mine now", "expectedVersion": 0}
    state = {"machineId": machine["id"], "daemonState": "mine now", "expectedVersion": 1}
    async with stranger.session(session["id"]) as intruder, account.user() as owner:
        answers = [
            await intruder.call("update-metadata", metadata),
            await intruder.call("machine-update-state", state),
        ]
        await intruder.emit("message", {"sid": session["id"], "message": "hi"})
        await intruder.emit("session-end", {"sid": session["id"], "time": 2**41})
        await intruder.call("ping")
        received = await owner.unread()

    assert answers == [{"result": "error"}, {"result": "error", "message": "Machine not found"}]
    assert received == []
    assert await account.api.messages(session["id"]) == []
