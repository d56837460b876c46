"""What one account can make the server keep over its sockets is bounded; others do not notice.

protocol: realtime#handshake, realtime#registration, realtime#rpc-call
"""

import asyncio
import logging
from typing import Any

import pytest

from happy.domain.names import MAX_NAME
from happy.gateway.events.rpc import MAX_METHOD
from tests.gateway.harness import register, settle, unread
from tests.support.api_client import ApiClient
from tests.support.socket_client import ConnectRefused, SocketClient

LONG = "x" * (MAX_NAME + 1)
NOT_AVAILABLE = {"ok": False, "error": "RPC method not available"}
TOO_MANY = {"ok": False, "error": "Too many calls"}
INVALID = {"ok": False, "error": "Invalid parameters"}


@pytest.mark.parametrize("endless", [LONG, [LONG]])
@pytest.mark.parametrize(("kind", "name"), [("session", "Session"), ("machine", "Machine")])
async def test_a_handshake_with_an_endless_id_is_refused(
    api: ApiClient, kind: str, name: str, endless: Any
) -> None:
    auth = {"token": api.token, "clientType": f"{kind}-scoped", f"{kind}Id": endless}
    with pytest.raises(ConnectRefused) as refusal:
        await SocketClient(api.url, auth).connect()

    assert f"{name} ID required for {kind}-scoped clients" == str(refusal.value)


async def test_an_endless_recovery_token_recovers_nothing(api: ApiClient) -> None:
    auth = {"token": api.token, "pid": "x" * 8_000, "offset": "x" * 4_000}
    async with SocketClient(api.url, auth) as socket:
        assert [] == await unread(socket)


@pytest.mark.parametrize("kind", ["register", "unregister"])
async def test_an_endless_method_name_is_an_error(api: ApiClient, kind: str) -> None:
    async with api.user_socket() as phone:
        await phone.emit(f"rpc-{kind}", {"method": "x" * (MAX_METHOD + 1)})
        event = await phone.next_event()

    assert ("rpc-error", [{"type": kind, "error": "Invalid method name"}]) == (event.name, event.args)


async def test_a_call_of_an_endless_method_name_is_not_waited_for(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        call = {"method": "x" * (MAX_METHOD + 1), "params": "p"}

        assert NOT_AVAILABLE == await phone.call("rpc-call", call, timeout=10.0)


async def test_the_methods_of_an_account_are_bounded(
    api: ApiClient, stranger: ApiClient, mid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.registrations.MAX_ACCOUNT_METHODS", 2)
    async with (
        api.user_socket() as phone,
        api.machine_socket(mid) as daemon,
        stranger.user_socket() as other,
    ):
        await register(daemon, "a")
        await register(daemon, "b")
        await phone.emit("rpc-register", {"method": "c"})
        refused = await phone.next_event("rpc-error")
        await register(daemon, "b")
        await register(other, "c")
        await daemon.emit("rpc-unregister", {"method": "a"})
        await daemon.next_event("rpc-unregistered")
        await register(phone, "c")

    assert {"type": "register", "error": "Too many methods"} == refused.payload


async def test_whoever_runs_the_server_sees_which_account_is_refused(
    api: ApiClient, mid: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "happy.gateway.account_limits")
    counted: list[str] = []
    monkeypatch.setattr("happy.gateway.registrations.MAX_METHODS", 1)
    monkeypatch.setattr("happy.gateway.events.rpc.MAX_CALLS", 0)
    monkeypatch.setattr("happy.metrics.Counter.add", lambda counter, *labels: counted.append(f"{labels}"))
    async with api.machine_socket(mid) as daemon:
        await register(daemon, "a")
        await daemon.emit("rpc-register", {"method": "b"})
        await daemon.next_event("rpc-error")
        assert TOO_MANY == await daemon.call("rpc-call", {"method": "later", "params": "x"})

    lines = [record.getMessage() for record in caplog.records if "reached a limit" in record.getMessage()]
    assert [f"an account has reached a limit: {what}, account " for what in ("methods", "calls")] == [
        line.rpartition(" ")[0] + " " for line in lines
    ]
    assert {"('methods',)", "('calls',)"} <= set(counted)


async def test_calls_of_absent_methods_are_kept_up_to_a_size(
    api: ApiClient, stranger: ApiClient, mid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.events.pending_calls.MAX_ACCOUNT_BYTES", 1_000)
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone, api.user_socket() as second:
        daemon.answer("rpc-request", lambda request: len(request["params"]))
        waiting = asyncio.create_task(phone.call("rpc-call", {"method": "later", "params": "x" * 900}))
        await settle(phone)

        assert TOO_MANY == await second.call("rpc-call", {"method": "later", "params": "x" * 900})
        await register(daemon, "later")
        assert {"ok": True, "result": 900} == await waiting

        again = asyncio.create_task(phone.call("rpc-call", {"method": "again", "params": "x" * 900}))
        async with stranger.user_socket() as other, stranger.user_socket() as served:
            served.answer("rpc-request", lambda _: "done")
            calling = asyncio.create_task(other.call("rpc-call", {"method": "m", "params": "x" * 900}))
            await settle(other)
            await register(served, "m")
            assert {"ok": True, "result": "done"} == await calling
        await register(daemon, "again")
        assert {"ok": True, "result": 900} == await again


async def test_the_calls_of_an_account_are_bounded(
    api: ApiClient, mid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.events.pending_calls.MAX_ACCOUNT_CALLS", 1)
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone, api.user_socket() as second:
        daemon.answer("rpc-request", lambda _: "done")
        waiting = asyncio.create_task(phone.call("rpc-call", {"method": "m"}))
        await settle(phone)

        assert TOO_MANY == await second.call("rpc-call", {"method": "m"})
        await register(daemon, "m")
        assert {"ok": True, "result": "done"} == await waiting
        assert {"ok": True, "result": "done"} == await second.call("rpc-call", {"method": "m"})


async def test_a_client_that_leaks_sockets_loses_its_oldest(
    api: ApiClient, sid: str, stranger: ApiClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.connections.MAX_CONNECTIONS", 3)
    async with (
        stranger.user_socket() as other,
        api.session_socket(sid) as process,
        api.user_socket() as oldest,
        api.user_socket() as second,
        api.user_socket() as newest,
    ):
        await oldest.wait_closed()

        await settle(process, second, newest, other)


@pytest.mark.parametrize(
    ("event", "payload", "answer"),
    [
        ("message", {"sid": LONG, "message": "m"}, INVALID),
        ("message", {"sid": "s", "message": "m", "localId": LONG}, INVALID),
        ("update-state", {"sid": LONG, "agentState": "", "expectedVersion": 0}, {"result": "error"}),
        ("update-metadata", {"sid": LONG, "metadata": "", "expectedVersion": 0}, {"result": "error"}),
        ("artifact-read", {"artifactId": LONG}, {"result": "error", "message": "Invalid parameters"}),
        (
            "access-key-get",
            {"sessionId": LONG, "machineId": "m"},
            {"ok": False, "error": "Invalid parameters: sessionId and machineId are required"},
        ),
        (
            "usage-report",
            {"key": LONG, "tokens": {"total": 1}, "cost": {"total": 1}},
            {"success": False, "error": "Invalid key"},
        ),
    ],
)
async def test_endless_names_in_events_are_invalid_parameters(
    api: ApiClient, event: str, payload: dict[str, Any], answer: dict[str, Any]
) -> None:
    async with api.user_socket() as phone:
        assert answer == await phone.call(event, payload)


async def test_heartbeats_of_endless_names_are_ignored(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        await phone.emit("session-alive", {"sid": LONG, "time": 1})
        await phone.emit("machine-alive", {"machineId": LONG, "time": 1})

        assert [] == await unread(phone)


async def test_large_events_take_turns_and_keep_their_order(api: ApiClient, sid: str) -> None:
    large = "x" * 1_500_000
    async with api.session_socket(sid) as process, api.user_socket() as phone:
        senders = [process, phone]
        calls = [
            asyncio.create_task(socket.call("message", {"sid": sid, "message": content}))
            for socket in senders
            for content in (large, "small")
        ]
        answers = await asyncio.gather(*calls)

    assert all(answer["ok"] for answer in answers)
    numbers = [answer["seq"] for answer in answers]
    assert numbers[0] < numbers[1]
    assert numbers[2] < numbers[3]
    assert [1, 2, 3, 4] == sorted(numbers)
