"""Route a call from one connection to the connection that serves the method (contract 02 section 8)."""

import asyncio
import time
from collections import defaultdict

import msgspec

from happy.domain.errors import Unavailable
from happy.domain.ports.pubsub import LocalConnections
from happy.domain.values import AccountId, ConnectionId
from happy.metrics import Metrics

GRACE_SECONDS = 15.0
CALL_SECONDS = 30.0

NOT_AVAILABLE = "RPC method not available"
SELF_CALL = "Cannot call RPC on the same socket"
TIMED_OUT = "operation has timed out"
DISCONNECTED = "RPC target disconnected"
RESULTS = {
    NOT_AVAILABLE: "not_available",
    SELF_CALL: "self_call",
    TIMED_OUT: "timeout",
    DISCONNECTED: "target_disconnected",
}
"""How a failure is counted."""


class RpcFailed(Exception):
    """The call has no result; the message is what the contract says to the caller."""


class RpcService:
    """Calls between the connections of one account. Registrations live with the connections themselves."""

    def __init__(
        self,
        connections: LocalConnections,
        grace_seconds: float = GRACE_SECONDS,
        call_seconds: float = CALL_SECONDS,
        metrics: Metrics | None = None,
    ) -> None:
        self._connections = connections
        self._grace = grace_seconds
        self._patience = call_seconds
        self._metrics = metrics or Metrics()
        self._waiting: dict[tuple[AccountId, str], set[asyncio.Future[None]]] = defaultdict(set)

    async def call(
        self, account_id: AccountId, caller: ConnectionId, method: str, params: msgspec.Raw | None
    ) -> msgspec.Raw | None:
        """The target's answer, untouched; None when it answered nothing. Raises RpcFailed."""
        started = time.perf_counter()
        result = "internal_error"
        try:
            answer = await self._route(account_id, caller, method, params)
            result = "success"
        except RpcFailed as failure:
            result = RESULTS[str(failure)]
            raise
        finally:
            self._metrics.rpc(method, result, time.perf_counter() - started)
        return answer

    async def _route(
        self, account_id: AccountId, caller: ConnectionId, method: str, params: msgspec.Raw | None
    ) -> msgspec.Raw | None:
        target = self._find(account_id, caller, method) or await self._await_registration(
            account_id, caller, method
        )
        try:
            async with asyncio.timeout(self._patience):
                return await self._connections.request(account_id, target, method, params)
        except TimeoutError:
            raise RpcFailed(TIMED_OUT) from None
        except Unavailable:
            raise RpcFailed(DISCONNECTED) from None

    def registered(self, account_id: AccountId, method: str) -> None:
        """Wake the calls that wait for somebody to serve `method`."""
        for waiter in self._waiting.get((account_id, method), ()):
            if not waiter.done():
                waiter.set_result(None)

    def _find(self, account_id: AccountId, caller: ConnectionId, method: str) -> ConnectionId | None:
        target = self._connections.serving(account_id, method, besides=caller)
        if target is None and self._connections.serves(account_id, method, caller):
            raise RpcFailed(SELF_CALL)
        return target

    async def _await_registration(
        self, account_id: AccountId, caller: ConnectionId, method: str
    ) -> ConnectionId:
        """Daemons reconnect within moments: give the method time to come back."""
        key = (account_id, method)
        lookups = 0
        try:
            async with asyncio.timeout(self._grace):
                while True:
                    lookups += 1
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiting[key].add(waiter)
                    try:
                        await waiter
                    finally:
                        self._forget(key, waiter)
                    target = self._find(account_id, caller, method)
                    if target is not None:
                        return target
        except TimeoutError:
            raise RpcFailed(NOT_AVAILABLE) from None
        finally:
            self._metrics.rpc_waited(method, lookups - 1)

    def _forget(self, key: tuple[AccountId, str], waiter: "asyncio.Future[None]") -> None:
        waiters = self._waiting[key]
        waiters.discard(waiter)
        if not waiters:
            del self._waiting[key]
