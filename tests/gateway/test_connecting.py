"""Who may connect, as what, and what a refusal looks like.

protocol: realtime#transport-settings, realtime#handshake, realtime#app-state
"""

import asyncio
from typing import Any

import pytest

from happy.adapters.full.postgres.store import PostgresStore
from happy.adapters.full.redis.presence import RedisPresence
from happy.adapters.light.sqlite import SqliteStore
from happy.adapters.memory import MemoryPresence
from happy.domain.errors import Unavailable
from happy.domain.ports.presence import Holder
from happy.domain.values import AccountId
from tests.gateway.harness import settle, unread, unscoped
from tests.support.api_client import ApiClient
from tests.support.server_thread import RunningServer
from tests.support.socket_client import ConnectRefused, Disconnected, SocketClient

NO_TOKEN = "Missing authentication token"
NO_SESSION = "Session ID required for session-scoped clients"
NO_MACHINE = "Machine ID required for machine-scoped clients"
BAD_TOKEN = "Invalid authentication token"
STORES = {"light": SqliteStore, "full": PostgresStore}
PRESENCES: dict[str, type[MemoryPresence | RedisPresence]] = {"light": MemoryPresence, "full": RedisPresence}
SESSION, MACHINE = {"clientType": "session-scoped"}, {"clientType": "machine-scoped"}


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ({}, NO_TOKEN),
        ({"token": "", **SESSION}, NO_TOKEN),
        ({"token": "wrong", **SESSION}, NO_SESSION),
        ({"token": "wrong", **SESSION, "sessionId": ""}, NO_SESSION),
        ({"token": "wrong", **MACHINE, "sessionId": "s"}, NO_MACHINE),
        ({"token": "wrong", **MACHINE, "machineId": "m"}, BAD_TOKEN),
        ({"token": "wrong"}, BAD_TOKEN),
        ({"token": 5}, BAD_TOKEN),
        ({"token": {"a": 1}}, BAD_TOKEN),
        ({"token": "a.b.c\0"}, BAD_TOKEN),
        ({"token": "x" * 10_000}, BAD_TOKEN),
    ],
)
async def test_a_refusal_names_its_reason(server: RunningServer, auth: dict[str, Any], message: str) -> None:
    with pytest.raises(ConnectRefused) as refusal:
        await SocketClient(server.url, auth).connect()

    assert message == str(refusal.value)


async def test_a_token_of_another_deployment_is_refused(server: RunningServer, api: ApiClient) -> None:
    assert api.token is not None
    head, body, signature = api.token.split(".")
    forged = f"{head}.{body}.{signature[::-1]}"
    with pytest.raises(ConnectRefused, match=BAD_TOKEN):
        await SocketClient.open(server.url, token=forged).connect()


async def test_a_connection_is_announced_with_its_id_and_limits(api: ApiClient) -> None:
    async with api.user_socket() as socket, api.user_socket() as other:
        assert socket.id
        assert socket.id != other.id
        assert {"upgrades": [], "pingInterval": 15_000, "pingTimeout": 45_000} == {
            name: socket.open_packet[name] for name in ("upgrades", "pingInterval", "pingTimeout")
        }


@pytest.mark.parametrize("kind", ["session-scoped", "machine-scoped"])
async def test_an_id_need_not_exist(api: ApiClient, kind: str) -> None:
    auth = {"token": api.token, "clientType": kind, "sessionId": "unknown", "machineId": "unknown"}
    async with SocketClient(api.url, auth) as socket:
        assert [] == await unread(socket)


async def test_handlers_are_ready_before_the_connection_is_answered(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        socket = api.user_socket()
        await asyncio.gather(socket.connect(), settle(phone))
        assert {} == await socket.call("ping")
        await socket.close()


@pytest.mark.parametrize("payload", [{}, None, 0])
async def test_a_ping_with_a_payload_is_not_answered(api: ApiClient, payload: Any) -> None:
    async with api.user_socket() as socket:
        unanswered = asyncio.create_task(socket.call("ping", payload))

        assert [] == await unread(socket)
        assert not unanswered.done()
        unanswered.cancel()


# -- faults ------------------------------------------------------------------------------------------------


async def fail(*_: object) -> None:
    raise Unavailable


@pytest.mark.parametrize("scope", ["user-scoped", "machine-scoped"])
async def test_a_passing_fault_closes_the_transport_and_is_no_refusal(
    api: ApiClient, mid: str, scope: str, flavor: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A connect error stops the reconnection for good (protocol: clients#rules-a-server-must-respect).
    client = SocketClient.open(api.url, token=api.token, client_type=scope, machine_id=mid)
    if scope == "user-scoped":  # whose account nobody has asked for yet
        fresh = ApiClient(api.url)
        await fresh.sign_in()
        await fresh.http.aclose()
        client.auth["token"] = fresh.token
    with monkeypatch.context() as broken:
        broken.setattr(STORES[flavor], "read", fail)
        with pytest.raises(Disconnected):
            await client.connect()

    async with SocketClient(api.url, client.auth) as again:
        assert {} == await again.call("ping")


# -- who looks at the app ----------------------------------------------------------------------------------


class Foreground:
    """The connections that count as looked at, by id."""

    def __init__(self) -> None:
        self.ids: set[str] = set()


@pytest.fixture
def foreground(flavor: str, monkeypatch: pytest.MonkeyPatch) -> Foreground:
    seen, presence = Foreground(), PRESENCES[flavor]
    claim, release = presence.claim, presence.release

    async def claiming(self: Any, account_id: AccountId, name: str, holder: Holder) -> None:
        await claim(self, account_id, name, holder)
        if name == "foreground":
            seen.ids.add(holder.connection_id)

    async def releasing(self: Any, account_id: AccountId, name: str, holder: Holder) -> None:
        await release(self, account_id, name, holder)
        if name == "foreground":
            seen.ids.discard(holder.connection_id)

    monkeypatch.setattr(presence, "claim", claiming)
    monkeypatch.setattr(presence, "release", releasing)
    return seen


@pytest.mark.parametrize(
    ("payload", "active"),
    [
        (({"state": "active"},), True),
        (({"state": "background"},), False),
        (({"state": "ACTIVE"},), False),
        (({"state": ["active"]},), False),
        (({},), False),
        ((None,), False),
        ((), False),
        (("active",), False),
    ],
)
@pytest.mark.parametrize("before", ["active", "background", None])
async def test_an_app_reports_whether_it_is_in_the_foreground(
    api: ApiClient, foreground: Foreground, payload: tuple[Any, ...], active: bool, before: str | None
) -> None:
    async with api.user_socket(app_state=before) as socket:
        assert ({socket.id} if before == "active" else set()) == foreground.ids
        await socket.emit("app-state", *payload)
        await settle(socket)
        assert ({socket.id} if active else set()) == foreground.ids
        assert [] == await unread(socket)


async def test_an_app_that_is_gone_is_not_looked_at(api: ApiClient, foreground: Foreground) -> None:
    async with api.user_socket() as other:
        async with (
            api.user_socket(app_state="active") as first,
            api.user_socket(app_state="active") as second,
        ):
            await settle(first, second)
            assert {first.id, second.id} == foreground.ids
            await second.drop()
        async with asyncio.timeout(5):
            while foreground.ids:
                await settle(other)


async def test_only_explicit_users_count(api: ApiClient, sid: str, mid: str, foreground: Foreground) -> None:
    # docs/defects.md E12 is kept: whoever does not say that it is an app never suppresses pushes
    async with (
        unscoped(api, app_state="active") as plain,
        api.session_socket(sid, app_state="active") as session,
        api.machine_socket(mid, app_state="active") as machine,
    ):
        for socket in (plain, session, machine):
            await socket.emit("app-state", {"state": "active"})
        await settle(plain, session, machine)

        assert set() == foreground.ids
