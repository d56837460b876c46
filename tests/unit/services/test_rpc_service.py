"""Calls between the connections of an account (protocol: realtime#rpc-call), without any connection."""

import asyncio
import time
from typing import Any
from unittest.mock import AsyncMock

import msgspec
import pytest

from happy.domain.errors import Unavailable
from happy.domain.ports.presence import Holder
from happy.domain.ports.rpc import OnResponse, Response
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from happy.services import rpc as rpc_module
from happy.services.cluster_rpc import Absent, ClusterRpc
from happy.services.rpc import (
    DISCONNECTED,
    NOT_AVAILABLE,
    SELF_CALL,
    TIMED_OUT,
    RpcFailed,
    RpcService,
)

OWNER, STRANGER = AccountId("owner"), AccountId("stranger")
CALLER = ConnectionId("caller")
LONG, MOMENT = 60.0, 0.02


class Connections:
    """Who serves what, the newest first, and what they answer."""

    def __init__(self) -> None:
        self.registered: dict[str, list[str]] = {}
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, msgspec.Raw | None]] = []

    def serving(self, account_id: AccountId, method: str, *, besides: ConnectionId) -> "Target | None":
        names = self.registered.get(method, []) if account_id == OWNER else []
        return next((Target(self, name) for name in names if name != besides), None)

    def serves(self, account_id: AccountId, method: str, connection_id: ConnectionId) -> "Target | None":
        serving = account_id == OWNER and connection_id in self.registered.get(method, [])
        return Target(self, connection_id) if serving else None


class Target:
    """One of them."""

    def __init__(self, connections: Connections, name: str) -> None:
        self._connections = connections
        self._name = name
        self._waiting: asyncio.Handle | asyncio.Future[bytes] | None = None

    def request(self, method: str, params: msgspec.Raw | None, on_response: OnResponse) -> int:
        self._connections.asked.append((self._name, method, params))
        answer = self._connections.answers[self._name]
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, asyncio.Future):
            answer.add_done_callback(lambda done: None if done.cancelled() else on_response(_reply(done)))
            self._waiting = answer
        else:
            reply = None if answer is None else msgspec.Raw(answer)
            self._waiting = asyncio.get_running_loop().call_soon(on_response, reply)
        return 1

    def cancel_request(self, number: int) -> None:
        assert number == 1
        if self._waiting is not None:
            self._waiting.cancel()


def _reply(done: "asyncio.Future[bytes]") -> msgspec.Raw | Unavailable:
    error = done.exception()
    return error if isinstance(error, Unavailable) else msgspec.Raw(done.result())


@pytest.fixture
def connections() -> Connections:
    return Connections()


def service(connections: Connections, *, grace: float = LONG, call: float = LONG) -> RpcService:
    return RpcService(connections, grace, call)


async def call(rpc: RpcService, params: bytes | None = None, account: AccountId = OWNER) -> bytes | None:
    """At once if the method is served, else by waiting for it, as the gateway does."""
    ended: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
    raw = None if params is None else msgspec.Raw(params)
    here = rpc.call_here(account, CALLER, "m", raw, ended.set_result)
    result = await (ended if here else rpc.call(account, CALLER, "m", raw))
    if isinstance(result, Exception):
        raise result
    return None if result is None else bytes(result)


@pytest.mark.parametrize("result", [b'"text"', b'""', b"null", b'{"a":[1,{"b":null}]}', None])
async def test_params_and_result_pass_untouched(connections: Connections, result: bytes | None) -> None:
    connections.registered["m"] = ["target"]
    connections.answers["target"] = result

    assert result == await call(service(connections), b'{ "x" : 1e2 }')
    assert [("target", "m", b'{ "x" : 1e2 }')] == [
        (*ask[:2], bytes(ask[2] or b"")) for ask in connections.asked
    ]


async def test_absent_params_stay_absent(connections: Connections) -> None:
    connections.registered["m"] = ["target"]
    connections.answers["target"] = b"1"
    await call(service(connections))

    assert [("target", "m", None)] == connections.asked


async def test_e14_a_call_failed_because_its_caller_came_first(connections: Connections) -> None:
    connections.registered["m"] = [CALLER, "other"]
    connections.answers["other"] = b"1"

    assert b"1" == await call(service(connections))


async def test_a_caller_that_alone_serves_the_method_fails_at_once(connections: Connections) -> None:
    connections.registered["m"] = [CALLER]
    with pytest.raises(RpcFailed, match=SELF_CALL):
        await call(service(connections))


async def test_a_method_of_another_account_does_not_exist(connections: Connections) -> None:
    connections.registered["m"] = ["target"]
    with pytest.raises(RpcFailed, match=NOT_AVAILABLE):
        await call(service(connections, grace=MOMENT), account=STRANGER)


async def test_without_registration_the_method_is_not_available_after_the_grace(
    connections: Connections,
) -> None:
    rpc = service(connections, grace=MOMENT)
    with pytest.raises(RpcFailed, match=NOT_AVAILABLE):
        await call(rpc)

    assert {} == rpc._waiting
    assert [] == connections.asked


async def test_a_call_goes_on_as_soon_as_the_method_is_registered(connections: Connections) -> None:
    rpc = service(connections)
    calls = [asyncio.create_task(call(rpc)) for _ in range(3)]
    await asyncio.sleep(0)
    connections.registered["m"] = ["late"]
    connections.answers["late"] = b"1"
    rpc.registered(OWNER, "other")
    rpc.registered(STRANGER, "m")
    await asyncio.sleep(0)
    before = [task.done() for task in calls]
    rpc.registered(OWNER, "m")

    assert [False] * 3 == before
    assert [b"1"] * 3 == await asyncio.gather(*calls)
    assert {} == rpc._waiting


async def test_a_call_failed_though_a_registration_on_another_replica_had_come_back_without_a_signal(
    connections: Connections, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rpc_module, "LOOKUP_SECONDS", MOMENT)
    there, gone = (
        Holder(ReplicaId("there"), ConnectionId("target")),
        Holder(ReplicaId("there"), ConnectionId("gone")),
    )
    remote = AsyncMock(spec=ClusterRpc, replica_id=ReplicaId("here"))
    remote.holders.side_effect = [[], [], [gone], [there]]
    remote.call.side_effect = [Absent, msgspec.Raw(b"1")]
    rpc = RpcService(connections, LONG, LONG, remote=remote)

    assert b"1" == await call(rpc)
    assert [there, OWNER, "m", None] == list(remote.call.await_args.args)
    assert {} == rpc._waiting


async def test_the_grace_began_anew_when_a_claim_turned_out_to_be_stale(connections: Connections) -> None:
    async def absent(*_: object) -> None:
        await asyncio.sleep(0.3)
        raise Absent

    remote = AsyncMock(spec=ClusterRpc, replica_id=ReplicaId("here"))
    remote.holders.return_value = [Holder(ReplicaId("there"), ConnectionId("gone"))]
    remote.call.side_effect = absent
    began = time.monotonic()
    with pytest.raises(RpcFailed, match=NOT_AVAILABLE):
        await call(RpcService(connections, 0.5, LONG, remote=remote))

    assert 0.5 <= time.monotonic() - began < 0.8


async def test_a_registration_that_is_gone_again_does_not_end_the_wait(connections: Connections) -> None:
    rpc = service(connections)
    waiting = asyncio.create_task(call(rpc))
    await asyncio.sleep(0)
    rpc.registered(OWNER, "m")  # and unregistered before the call could look
    for _ in range(3):
        await asyncio.sleep(0)
    connections.registered["m"] = ["target"]
    connections.answers["target"] = b"1"
    rpc.registered(OWNER, "m")

    assert b"1" == await waiting


async def test_a_call_fails_when_its_caller_registers_the_method_meanwhile(
    connections: Connections,
) -> None:
    rpc = service(connections)
    waiting = asyncio.create_task(call(rpc))
    await asyncio.sleep(0)
    connections.registered["m"] = [CALLER]
    rpc.registered(OWNER, "m")

    with pytest.raises(RpcFailed, match=SELF_CALL):
        await waiting
    assert {} == rpc._waiting


async def test_a_target_that_closes_ends_the_call_at_once(connections: Connections) -> None:
    connections.registered["m"] = ["target"]
    connections.answers["target"] = asyncio.get_running_loop().create_future()
    calling = asyncio.create_task(call(service(connections)))
    await asyncio.sleep(0)
    connections.answers["target"].set_exception(Unavailable())

    with pytest.raises(RpcFailed, match=DISCONNECTED):
        await calling


async def test_a_target_that_does_not_answer_times_out(connections: Connections) -> None:
    connections.registered["m"] = ["target"]
    connections.answers["target"] = asyncio.get_running_loop().create_future()
    with pytest.raises(RpcFailed, match=TIMED_OUT):
        await call(service(connections, call=MOMENT))

    assert connections.answers["target"].cancelled()


async def test_e15_registering_anew_during_a_call_lost_its_answer(
    connections: Connections,
) -> None:
    rpc = service(connections)
    connections.registered["m"] = ["target"]
    connections.answers["target"] = asyncio.get_running_loop().create_future()
    calling = asyncio.create_task(call(rpc))
    await asyncio.sleep(0)
    connections.registered.clear()
    await asyncio.sleep(0)
    connections.registered["m"] = ["target"]
    rpc.registered(OWNER, "m")
    connections.answers["target"].set_result(b"1")

    assert b"1" == await calling


async def test_a_fault_is_not_hidden(connections: Connections) -> None:
    connections.registered["m"] = ["target"]
    connections.answers["target"] = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        await call(service(connections))


async def test_a_call_that_is_cancelled_leaves_nothing_behind(connections: Connections) -> None:
    rpc = service(connections)
    waiting = asyncio.create_task(call(rpc))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)

    assert {} == rpc._waiting
