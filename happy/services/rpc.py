"""Route a call from one connection to the connection that serves the method.

protocol: realtime#rpc-calls
"""

import asyncio
import time
from collections import defaultdict
from functools import partial
from typing import Literal

import msgspec

from happy.domain.errors import Unavailable
from happy.domain.ports.presence import Holder
from happy.domain.ports.rpc import LocalConnection, LocalConnections, OnResponse, Response
from happy.domain.values import AccountId, ConnectionId
from happy.limits import limit
from happy.metrics import UNKNOWN, Metrics
from happy.services.cluster_rpc import Absent, ClusterRpc
from happy.services.pending_requests import PendingRequests

GRACE_SECONDS = limit(
    15.0, "s that a call of a method that nobody serves waits", per="call", then="`RPC method not available`"
)
CALL_SECONDS = limit(
    30.0, "s that a call waits for its response", per="call", then="`operation has timed out`"
)
LOOKUP_SECONDS = 1.0
"""Claims of other replicas can reappear without a signal, after an outage of Redis."""

MAX_REMOTE_METHODS = limit(
    20_000,
    "RPC methods known to be registered at other replicas too",
    per="account and replica",
    then="the first is forgotten: a connection of this replica is called, if one serves it",
)
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
        remote: ClusterRpc | None = None,
    ) -> None:
        self._remote = remote
        self._on_other_replicas: dict[AccountId, dict[str, None]] = defaultdict(dict)
        self._connections = connections
        self._grace = grace_seconds
        self._patience = call_seconds
        self._pending_requests = PendingRequests(call_seconds)
        self._metrics = metrics or Metrics()
        self._waiting: dict[tuple[AccountId, str], set[asyncio.Future[None]]] = defaultdict(set)
        self._lookup_interval = None if remote is None else LOOKUP_SECONDS

    def call_here(
        self,
        account_id: AccountId,
        caller: ConnectionId,
        method: str,
        params: msgspec.Raw | None,
        on_response: OnResponse,
    ) -> bool:
        """Send the request to a connection of this replica.

        False: none serves the method, or a newer one does on another replica; then use `call`. True:
        `on_response` is called later, with the result or an `RpcFailed`. Most calls end here, without a task.
        """
        if self._on_other_replicas and method in self._on_other_replicas.get(account_id, ()):
            return False
        target = self._connections.serving(account_id, method, besides=caller)
        if target is None:
            return False
        counted = partial(self._respond, method, time.perf_counter(), on_response)
        self._pending_requests.send(target, method, params, counted)
        return True

    def _respond(self, method: str, started: float, on_response: OnResponse, response: Response) -> None:
        result = "success"
        if isinstance(response, Exception):
            response = _failure(response)
            result = RESULTS[str(response)]
        seconds = time.perf_counter() - started
        on_response(response)  # first, since the metrics can wait
        self._metrics.rpc(method, result, seconds)

    def refused(self, result: Literal["invalid_params", "internal_error"], method: str = UNKNOWN) -> None:
        """Count a call that was not sent to any connection."""
        self._metrics.rpc(method, result, 0.0)

    def close(self) -> None:
        """Nobody waits for results any more."""
        self._pending_requests.close()

    async def call(
        self, account_id: AccountId, caller: ConnectionId, method: str, params: msgspec.Raw | None
    ) -> msgspec.Raw | None:
        """The target's response, unchanged; None if it was empty. Raises RpcFailed."""
        started = time.perf_counter()
        result = "internal_error"
        try:
            response = await self._route(account_id, caller, method, params)
            result = "success"
        except RpcFailed as failure:
            result = RESULTS[str(failure)]
            raise
        finally:
            self._metrics.rpc(method, result, time.perf_counter() - started)
        return response

    async def _route(
        self, account_id: AccountId, caller: ConnectionId, method: str, params: msgspec.Raw | None
    ) -> msgspec.Raw | None:
        stale: set[Holder] = set()
        deadline = asyncio.get_running_loop().time() + self._grace
        while True:
            target = await self._locate(account_id, caller, method, stale) or await self._await_registration(
                account_id, caller, method, stale, deadline
            )
            try:
                async with asyncio.timeout(self._patience):
                    return await self._request(target, account_id, method, params)
            except Absent:
                assert isinstance(target, Holder), "local connections are looked at"
                stale.add(target)
            except TimeoutError:
                raise RpcFailed(TIMED_OUT) from None
            except Unavailable:
                raise RpcFailed(DISCONNECTED) from None

    async def _request(
        self, target: LocalConnection | Holder, account_id: AccountId, method: str, params: msgspec.Raw | None
    ) -> msgspec.Raw | None:
        if isinstance(target, Holder):
            assert self._remote is not None, "there are no remote holders without other replicas"
            return await self._remote.call(target, account_id, method, params)
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._pending_requests.send(target, method, params, partial(_set_result, future))
        response = await future
        if isinstance(response, Exception):
            raise _failure(response)
        return response

    def on_registered(self, account_id: AccountId, method: str) -> None:
        """Another replica serves `method` too; its registration is newer than those of this replica."""
        methods = self._on_other_replicas[account_id]
        methods[method] = None
        if len(methods) > MAX_REMOTE_METHODS:
            del methods[next(iter(methods))]
        self._wake(account_id, method)

    def registered(self, account_id: AccountId, method: str) -> None:
        """A connection of this replica serves `method` from now on."""
        self._on_other_replicas.get(account_id, {}).pop(method, None)
        self._wake(account_id, method)

    def forget(self, account_id: AccountId) -> None:
        """No connection of the account is here any more."""
        self._on_other_replicas.pop(account_id, None)

    def _wake(self, account_id: AccountId, method: str) -> None:
        """Let the calls go on that wait for somebody to serve `method`."""
        for waiter in self._waiting.get((account_id, method), ()):
            if not waiter.done():
                waiter.set_result(None)

    async def _locate(
        self, account_id: AccountId, caller: ConnectionId, method: str, stale: set[Holder]
    ) -> LocalConnection | Holder | None:
        """The best connection: a local one without a round trip, unless another replica has a newer one."""
        local = self._connections.serving(account_id, method, besides=caller)
        known = self._on_other_replicas.get(account_id, ())
        if self._remote is None or (local is not None and method not in known):
            found: LocalConnection | Holder | None = local
        else:
            found = await self._best(account_id, caller, method, stale) or local
        if found is None and self._connections.serves(account_id, method, caller):
            raise RpcFailed(SELF_CALL)
        return found

    async def _best(
        self, account_id: AccountId, caller: ConnectionId, method: str, stale: set[Holder]
    ) -> LocalConnection | Holder | None:
        assert self._remote is not None, "only called where there are other replicas"
        for holder in await self._remote.holders(account_id, method):
            if holder.replica_id != self._remote.replica_id:
                if holder not in stale:
                    return holder
            elif holder.connection_id != caller:
                here = self._connections.serves(account_id, method, holder.connection_id)
                if here is not None:
                    return here
        return None

    async def _await_registration(
        self, account_id: AccountId, caller: ConnectionId, method: str, stale: set[Holder], deadline: float
    ) -> LocalConnection | Holder:
        """Daemons reconnect within moments: give the method time to come back."""
        key = (account_id, method)
        lookups = 0
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    lookups += 1
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiting[key].add(waiter)
                    try:
                        target = await self._locate(account_id, caller, method, stale)
                        if target is not None:
                            return target
                        await asyncio.wait([waiter], timeout=self._lookup_interval)
                    finally:
                        self._forget(key, waiter)
        except TimeoutError:
            raise RpcFailed(NOT_AVAILABLE) from None
        finally:
            self._metrics.rpc_waited(method, max(lookups - 1, 0))

    def _forget(self, key: tuple[AccountId, str], waiter: "asyncio.Future[None]") -> None:
        waiters = self._waiting[key]
        waiters.discard(waiter)
        if not waiters:
            del self._waiting[key]


def _failure(why: Exception) -> RpcFailed:
    return RpcFailed(TIMED_OUT if isinstance(why, TimeoutError) else DISCONNECTED)


def _set_result(future: "asyncio.Future[Response]", response: Response) -> None:
    if not future.done():  # the waiting task may have been cancelled
        future.set_result(response)
