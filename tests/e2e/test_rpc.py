"""Calls from one socket to another of the account, with the official client on both ends."""

import asyncio
import time
from typing import Any

import pytest

from tests.e2e.conftest import Account
from tests.support.official_client import OfficialSocket

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def register(socket: OfficialSocket, method: str, **how: Any) -> None:
    """Register a method and say how it answers, as a daemon does on every connect."""
    if how:
        await socket.answer("rpc-request", **how)
    await socket.emit("rpc-register", {"method": method})
    assert (await socket.next_event("rpc-registered")).args == [{"method": method}]


@pytest.mark.parametrize("result", ["text", "", None, {"a": [1, {"b": None}]}, 0, False, "ä\u2028😀"])
async def test_a_call_reaches_the_method_and_brings_back_its_result(account: Account, result: Any) -> None:
    async with account.machine("m") as daemon, account.user() as phone:
        await register(daemon, "m:bash", value=result)
        answer = await phone.call("rpc-call", {"method": "m:bash", "params": "p"})
        request = await daemon.next_event("rpc-request")

    assert answer == {"ok": True, "result": result}
    assert request.args == [{"method": "m:bash", "params": "p"}]


async def test_what_is_absent_stays_absent(account: Account) -> None:
    async with account.session("s") as session, account.unscoped() as tool:
        await register(session, "s:abort", none=True)
        answer = await tool.call("rpc-call", {"method": "s:abort"})
        request = await session.next_event("rpc-request")

    assert answer == {"ok": True}
    assert request.args == [{"method": "s:abort"}]


async def test_only_the_target_receives_the_request(account: Account, stranger: Account) -> None:
    daemon, other, outsider = account.machine("m"), account.machine("m"), stranger.machine("m")
    async with daemon, other, outsider, account.user() as phone:
        await register(outsider, "m:bash", value="stranger")
        await register(daemon, "m:bash", value="mine")
        answer = await phone.call("rpc-call", {"method": "m:bash", "params": "p"})

        assert answer == {"ok": True, "result": "mine"}
        assert await other.unread() == []
        assert await outsider.unread() == []


async def test_the_newest_registration_answers(account: Account) -> None:
    """A half-open socket of a daemon that has already come back must not take the call."""
    async with account.machine("m") as stale, account.machine("m") as fresh, account.user() as phone:
        await register(stale, "m:bash")
        await register(fresh, "m:bash", value="fresh")

        assert await phone.call("rpc-call", {"method": "m:bash"}) == {"ok": True, "result": "fresh"}


async def test_a_method_that_comes_within_the_grace_window_is_called(account: Account) -> None:
    async with account.user() as phone:
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m:bash", "params": "p"}))
        await asyncio.sleep(0)  # it is sent first
        await phone.call("ping")
        assert not calling.done()
        async with account.machine("m") as daemon:
            began = time.monotonic()
            await register(daemon, "m:bash", value="late")
            answer = await calling

    assert answer == {"ok": True, "result": "late"}
    assert time.monotonic() - began < 5


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_a_method_nobody_has_fails_after_the_grace_window(account: Account) -> None:
    async with account.user() as phone, account.machine("m") as daemon:
        await register(daemon, "m:gone")
        await daemon.emit("rpc-unregister", {"method": "m:gone"})
        await daemon.next_event("rpc-unregistered")
        began = time.monotonic()
        calls = [phone.call("rpc-call", {"method": name}, timeout=25) for name in ("m:none", "m:gone")]
        # the caller's own registration must not answer either
        await register(phone, "m:mine")
        calls.append(phone.call("rpc-call", {"method": "m:mine"}, timeout=25))
        unknown, unregistered, itself = await asyncio.gather(*calls)
        took = time.monotonic() - began

    assert unknown == unregistered == {"ok": False, "error": "RPC method not available"}
    assert itself["ok"] is False
    assert itself["error"] in {"RPC method not available", "Cannot call RPC on the same socket"}
    assert 14.5 < took < 24


async def test_the_callers_own_registration_is_passed_over_when_others_can_serve(account: Account) -> None:
    async with account.user() as phone, account.machine("m") as daemon:
        await register(daemon, "m:bash", value="daemon")
        await register(phone, "m:bash", value="phone")

        assert await phone.call("rpc-call", {"method": "m:bash"}) == {"ok": True, "result": "daemon"}


async def test_a_target_that_leaves_during_the_call_fails_it_soon(account: Account) -> None:
    async with account.user() as phone:
        daemon = account.machine("m")
        await daemon.connect()
        await register(daemon, "m:bash")
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m:bash"}, timeout=10))
        await daemon.next_event("rpc-request")
        began = time.monotonic()
        await daemon.close()
        answer = await calling

    assert answer == {"ok": False, "error": "RPC target disconnected"}
    assert time.monotonic() - began < 4.5


async def test_registering_anew_during_a_call_does_not_abort_it(account: Account) -> None:
    async with account.machine("m") as daemon, account.user() as phone:
        await register(daemon, "m:bash", value="done", delay=1000)
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m:bash"}))
        await daemon.next_event("rpc-request")
        await daemon.emit("rpc-unregister", {"method": "m:bash"})
        await daemon.emit("rpc-register", {"method": "m:bash"})

        assert await calling == {"ok": True, "result": "done"}


@pytest.mark.parametrize(
    "payload", [None, {}, {"method": ""}, {"method": None}, {"method": 5}, {"method": {"a": 1}}]
)
async def test_a_call_without_a_method_is_refused_and_does_no_harm(account: Account, payload: Any) -> None:
    async with account.user() as phone:
        answer = await phone.call("rpc-call", payload)
        await phone.emit("rpc-call", payload)
        await phone.emit("rpc-call", payload, "no function")

        assert answer == {"ok": False, "error": "Invalid parameters: method is required"}
        assert await phone.call("ping") == {}


@pytest.mark.parametrize("payload", [None, {}, {"method": ""}, {"method": 5}])
async def test_a_registration_without_a_method_is_refused(account: Account, payload: Any) -> None:
    async with account.machine("m") as daemon:
        await daemon.emit("rpc-register", payload)
        await daemon.emit("rpc-unregister", payload)
        refusals = [(await daemon.next_event("rpc-error")).payload for _ in range(2)]

    assert refusals == [
        {"type": "register", "error": "Invalid method name"},
        {"type": "unregister", "error": "Invalid method name"},
    ]


async def test_a_call_in_flight_does_not_hold_up_its_caller(account: Account) -> None:
    async with account.machine("m") as daemon, account.user() as phone:
        await register(daemon, "m:slow", value="done", delay=700)
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m:slow"}))
        await daemon.next_event("rpc-request")
        began = time.monotonic()
        await phone.call("ping")
        waited = time.monotonic() - began
        answer = await calling

    assert waited < 0.4
    assert answer == {"ok": True, "result": "done"}


async def test_many_calls_at_once_get_their_own_answers(account: Account) -> None:
    async with account.machine("m") as daemon, account.user() as phone:
        await register(daemon, "m:echo", echo=True)
        payloads = [{"method": "m:echo", "params": f"p{number}"} for number in range(100)]
        answers = await asyncio.gather(*(phone.call("rpc-call", payload) for payload in payloads))

    assert answers == [{"ok": True, "result": payload} for payload in payloads]


async def test_a_call_of_a_megabyte_each_way(account: Account) -> None:
    params = "x" * 2_000_000
    async with account.machine("m") as daemon, account.user() as phone:
        await register(daemon, "m:readFile", echo=True)
        answer = await phone.call("rpc-call", {"method": "m:readFile", "params": params})

    assert answer == {"ok": True, "result": {"method": "m:readFile", "params": params}}
