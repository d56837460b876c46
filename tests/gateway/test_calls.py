"""Calls from one socket of an account to another (protocol: realtime#rpc-calls)."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any
from unittest.mock import Mock

import pytest

from tests.gateway.harness import register, settle, unread
from tests.support.api_client import ApiClient
from tests.support.server_thread import RunningServer
from tests.support.socket_client import SocketClient

REQUIRED = {"ok": False, "error": "Invalid parameters: method is required"}
NOT_AVAILABLE = {"ok": False, "error": "RPC method not available"}
SELF = {"ok": False, "error": "Cannot call RPC on the same socket"}
DISCONNECTED = {"ok": False, "error": "RPC target disconnected"}
NO_TEXTS: list[Any] = ["", None, 5, ["m"], {}]
NO_METHODS: list[Any] = [{}, *({"method": odd} for odd in NO_TEXTS), None, 5, "m"]


# -- registration ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["register", "unregister"])
async def test_a_registration_is_confirmed_to_the_caller_only(api: ApiClient, mid: str, kind: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        for _ in range(2):
            await daemon.emit(f"rpc-{kind}", {"method": "m:ä", "more": 1})
            event = await daemon.next_event()

            assert (f"rpc-{kind}ed", [{"method": "m:ä"}]) == (event.name, event.args)
        assert [] == await unread(daemon, phone)


@pytest.mark.parametrize("kind", ["register", "unregister"])
@pytest.mark.parametrize("payload", NO_METHODS)
async def test_a_registration_without_a_method_is_an_error(api: ApiClient, kind: str, payload: Any) -> None:
    async with api.user_socket() as phone:
        await phone.emit(f"rpc-{kind}", payload)
        await phone.emit(f"rpc-{kind}")
        expected = {"type": kind, "error": "Invalid method name"}

        assert [("rpc-error", [expected])] * 2 == await unread(phone)


async def test_the_methods_of_one_connection_are_bounded(
    api: ApiClient, mid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.registrations.MAX_METHODS", 2)
    async with api.machine_socket(mid) as daemon:
        for method in ("a", "b", "a", "c"):
            await daemon.emit("rpc-register", {"method": method})
        events = await unread(daemon)

    assert ["rpc-registered"] * 3 + ["rpc-error"] == [name for name, _ in events]
    assert [{"type": "register", "error": "Too many methods"}] == events[-1][1]


async def test_a_fault_of_ours_is_an_answer_too(
    api: ApiClient, mid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        await register(daemon, "m")
        monkeypatch.setattr(
            "happy.services.pending_requests.PendingRequests.send", Mock(side_effect=ZeroDivisionError)
        )
        answer = await phone.call("rpc-call", {"method": "m", "params": ""})

    assert {"ok": False, "error": "Internal error"} == answer


async def test_the_calls_of_one_connection_are_bounded(
    api: ApiClient, mid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.events.rpc.MAX_CALLS", 1)
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        daemon.answer("rpc-request", lambda _: "done")
        await register(daemon, "m")
        waiting = asyncio.create_task(phone.call("rpc-call", {"method": "later"}))
        await settle(phone)

        assert {"ok": False, "error": "Too many calls"} == await phone.call("rpc-call", {"method": "m"})
        await register(daemon, "later")
        assert {"ok": True, "result": "done"} == await waiting
        assert {"ok": True, "result": "done"} == await phone.call("rpc-call", {"method": "m"})


# -- calls -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("result", ["text", "", None, 0, False, {"a": [1, {"b": None}]}, "ä\u2028😀"])
async def test_a_call_brings_back_the_result_untouched(api: ApiClient, mid: str, result: Any) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        daemon.answer("rpc-request", lambda _: result)
        await register(daemon, "m")
        answer = await phone.call("rpc-call", {"method": "m", "params": {"p": result}, "more": 1})
        request = await daemon.next_event()

        assert {"ok": True, "result": result} == answer
        assert ("rpc-request", [{"method": "m", "params": {"p": result}}]) == (request.name, request.args)
        assert [] == await unread(daemon, phone)


@pytest.mark.parametrize(("given", "received"), [({}, {}), ({"params": None}, {"params": None})])
async def test_absent_params_stay_absent(
    api: ApiClient, mid: str, given: dict[str, Any], received: dict[str, Any]
) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        daemon.answer("rpc-request", lambda payload: payload)
        await register(daemon, "m")

        assert {"method": "m", **received} == (await phone.call("rpc-call", {"method": "m", **given}))[
            "result"
        ]


async def test_an_answer_without_an_argument_has_no_result(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        await register(daemon, "m")
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m"}))
        await daemon.next_event("rpc-request")
        await daemon.send_raw("431[]")

        assert {"ok": True} == await calling


async def test_further_arguments_of_an_answer_are_dropped(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        await register(daemon, "m")
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m"}))
        await daemon.next_event("rpc-request")
        await daemon.send_raw('431["first",{"second":2}]')

        assert {"ok": True, "result": "first"} == await calling


@pytest.mark.parametrize("payload", NO_METHODS)
async def test_a_call_without_a_method_is_refused(api: ApiClient, payload: Any) -> None:
    async with api.user_socket() as phone:
        assert REQUIRED == await phone.call("rpc-call", payload)
        assert REQUIRED == await phone.call("rpc-call")


async def test_a_method_of_another_account_is_out_of_reach(hasty_server: RunningServer) -> None:
    async with (
        ApiClient.signed_in(hasty_server.url) as api,
        ApiClient.signed_in(hasty_server.url) as stranger,
        stranger.user_socket() as thief,
        api.user_socket() as phone,
    ):
        await register(thief, "m")

        assert NOT_AVAILABLE == await phone.call("rpc-call", {"method": "m"})
        assert [] == await unread(thief)


@pytest.mark.parametrize("how", ["never registered", "unregistered", "closed", "cut off"])
async def test_a_method_that_nobody_serves_is_not_available(hasty_server: RunningServer, how: str) -> None:
    async with ApiClient.signed_in(hasty_server.url) as api, api.user_socket() as phone:
        daemon = api.user_socket()
        await daemon.connect()
        if how != "never registered":
            await register(daemon, "m")
        if how == "unregistered":
            await daemon.emit("rpc-unregister", {"method": "m"})
            await settle(daemon)
        elif how == "closed":
            await daemon.close()
        elif how == "cut off":
            await daemon.drop()
        answers = [await phone.call("rpc-call", {"method": "m"}) for _ in range(2)]
        await daemon.close()

    # a call may still meet the end of a connection that was cut off
    assert NOT_AVAILABLE == answers[1]
    assert answers[0] == NOT_AVAILABLE or how == "cut off"


async def test_a_method_that_comes_back_in_time_is_called(api: ApiClient, mid: str) -> None:
    async with api.user_socket() as phone:
        calls = [asyncio.create_task(phone.call("rpc-call", {"method": "m"})) for _ in range(3)]
        await settle(phone)
        async with api.machine_socket(mid) as daemon:
            daemon.answer("rpc-request", lambda _: "late")
            await register(daemon, "other")
            await settle(daemon, phone)
            waiting = [call.done() for call in calls]
            await register(daemon, "m")
            answers = await asyncio.gather(*calls)

    assert [False] * 3 == waiting
    assert [{"ok": True, "result": "late"}] * 3 == answers


async def test_a_call_to_the_callers_own_method_fails_with_the_reason(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        await register(phone, "m")

        assert SELF == await phone.call("rpc-call", {"method": "m"})


@pytest.mark.parametrize("politely", [True, False])
async def test_a_target_that_leaves_ends_the_call_at_once(api: ApiClient, mid: str, politely: bool) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        await register(daemon, "m")
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m"}))
        await daemon.next_event("rpc-request")
        await (daemon.close() if politely else daemon.drop())

        assert DISCONNECTED == await calling


async def test_only_the_target_receives_a_call(api: ApiClient, mid: str, sid: str) -> None:
    async with (
        api.machine_socket(mid) as daemon,
        api.machine_socket(mid) as twin,
        api.session_socket(sid) as session,
        api.user_socket() as phone,
    ):
        await unread(phone)
        daemon.answer("rpc-request", lambda _: 1)
        await register(daemon, "m")
        await phone.call("rpc-call", {"method": "m"})

        assert ["rpc-request"] == [event.name for event in await unread(daemon)]
        assert [] == await unread(twin, session, phone)


@pytest.mark.parametrize("scope", ["user", "session", "machine"])
async def test_any_scope_may_serve_and_call(api: ApiClient, mid: str, sid: str, scope: str) -> None:
    def connect() -> SocketClient:
        auth = {"token": api.token, "clientType": f"{scope}-scoped", "sessionId": sid, "machineId": mid}
        return SocketClient(api.url, auth)

    async with connect() as target, connect() as caller:
        target.answer("rpc-request", lambda _: scope)
        await register(target, "m")

        assert {"ok": True, "result": scope} == await caller.call("rpc-call", {"method": "m"})


async def test_a_call_without_callback_is_made_all_the_same(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        daemon.answer("rpc-request", lambda _: 1)
        await register(daemon, "m")
        await phone.emit("rpc-call", {"method": "m", "params": 1})

        assert {"method": "m", "params": 1} == (await daemon.next_event("rpc-request")).payload


async def test_a_caller_that_leaves_does_not_undo_its_call(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon:
        await register(daemon, "m")
        async with api.user_socket() as phone:
            await phone.emit("rpc-call", {"method": "m"})
            await settle(phone)
        await daemon.next_event("rpc-request")
        await daemon.send_raw("431[1]")

        assert [] == await unread(daemon)


async def test_a_call_does_not_hold_up_its_caller(api: ApiClient, mid: str, sid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        await register(daemon, "m")
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m"}))
        await daemon.next_event("rpc-request")
        payload = {"sid": sid, "agentState": "busy", "expectedVersion": 0}
        meanwhile = await phone.call("update-state", payload)
        await daemon.send_raw("431[1]")

        assert "success" == meanwhile["result"]
        assert {"ok": True, "result": 1} == await calling


async def test_many_calls_at_once_get_their_own_answers(api: ApiClient, mid: str) -> None:
    async with AsyncExitStack() as stack:
        daemon = await stack.enter_async_context(api.machine_socket(mid))
        phones = [await stack.enter_async_context(api.user_socket()) for _ in range(4)]
        daemon.answer("rpc-request", lambda payload: payload["params"])
        await register(daemon, "m")
        calls = [(phone, f"{who}-{turn}") for who, phone in enumerate(phones) for turn in range(25)]
        answers = await asyncio.gather(
            *(phone.call("rpc-call", {"method": "m", "params": text}) for phone, text in calls)
        )

    assert [{"ok": True, "result": text} for _, text in calls] == answers


async def test_a_megabyte_passes_each_way(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        daemon.answer("rpc-request", lambda payload: payload["params"])
        await register(daemon, "m")
        answer = await phone.call("rpc-call", {"method": "m", "params": "x" * 1_500_000})

    assert "x" * 1_500_000 == answer["result"]
