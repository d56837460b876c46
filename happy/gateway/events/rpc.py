"""Remote procedure calls between the connections of an account (protocol: realtime#rpc-calls)."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from happy.domain.ports.presence import Holder
from happy.domain.ports.rpc import OnResponse, Response
from happy.gateway.account_limits import refused
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.payloads import Call, Method, parse
from happy.gateway.events.pending_calls import MAX_CALLS, PendingCalls
from happy.gateway.hub import Connection, Handler, Hub
from happy.gateway.registrations import RANKS
from happy.gateway.throttle import take_one
from happy.limits import limit
from happy.services.cluster_rpc import ClusterRpc
from happy.services.rate_limit import RateLimits
from happy.services.rpc import NOT_AVAILABLE, RpcFailed, RpcService

Payload = msgspec.Raw | None
MAX_METHOD = limit(
    500,
    "characters of the name of an RPC method",
    per="event",
    then="`rpc-error`: `Invalid method name`; calls: `RPC method not available`",
)
REGISTERED = "registered"
INTERNAL_ERROR = "Internal error"
METHOD_REQUIRED = "Invalid parameters: method is required"
TOO_MANY_CALLS = "Too many calls"

log = logging.getLogger(__name__)


class RpcEvents:
    def __init__(
        self, hub: Hub, rpc: RpcService, limits: RateLimits, remote: ClusterRpc | None = None
    ) -> None:
        self._hub = hub
        self._limit = limits.calls
        self._rpc = rpc
        self._remote = remote
        self._calls: set[asyncio.Task[None]] = set()
        self._pending = PendingCalls()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "rpc-register": self.register,
            "rpc-unregister": self.unregister,
            "rpc-call": self.call,
        }

    def register(
        self,
        connection: Connection,
        payload: Payload,
        ack: Ack | None,  # noqa: ARG002
    ) -> Awaitable[None] | None:
        request = parse(payload, Method)
        if request is None or not request.method or len(request.method) > MAX_METHOD:
            _refuse(connection, "register")
            return None
        if not self._hub.registrations.register(connection, request.method):
            refused(self._hub.report.metrics, "methods", connection.account_id)
            _refuse(connection, "register", "Too many methods")
            return None
        self._rpc.registered(connection.account_id, request.method)
        if self._remote is not None:
            return self._claim(self._remote, connection, request)
        connection.socket.emit("rpc-registered", msgspec.json.encode(request))
        return None

    async def _claim(self, remote: ClusterRpc, connection: Connection, request: Method) -> None:
        """Claim the method in the cluster, confirm, and wake calls on other replicas that wait for it."""
        holder = Holder(remote.replica_id, connection.id, RANKS[connection.scope])
        await remote.claim(connection.account_id, request.method, holder)
        connection.socket.emit("rpc-registered", msgspec.json.encode(request))
        self._hub.signal(connection.account_id, REGISTERED, request.method)

    def unregister(
        self,
        connection: Connection,
        payload: Payload,
        ack: Ack | None,  # noqa: ARG002
    ) -> Awaitable[None] | None:
        request = parse(payload, Method)
        if request is None or not request.method or len(request.method) > MAX_METHOD:
            _refuse(connection, "unregister")
            return None
        self._hub.registrations.unregister(connection, request.method)
        connection.socket.emit("rpc-unregistered", msgspec.json.encode(request))
        return self.released(connection, [request.method])

    def released(self, connection: Connection, methods: Iterable[str]) -> Awaitable[None] | None:
        """The connection has unregistered these methods, or has closed."""
        if not self._hub.has_connections(connection.account_id):
            self._rpc.forget(connection.account_id)
        return None if self._remote is None else self._release(self._remote, connection, methods)

    async def _release(self, remote: ClusterRpc, connection: Connection, methods: Iterable[str]) -> None:
        for method in methods:
            holder = Holder(remote.replica_id, connection.id)
            await remote.release(connection.account_id, method, holder)

    def call(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:
        """Route a call; returns at once, so that the caller's other events do not wait for the response."""
        request = parse(payload, Call)
        if request is None or not request.method:
            self._rpc.refused("invalid_params")
            return answer(ack, ok=False, error=METHOD_REQUIRED)
        if len(request.method) > MAX_METHOD:
            return answer(ack, ok=False, error=NOT_AVAILABLE)
        too_many = connection.calls >= MAX_CALLS or not take_one(self._limit, connection, "calls")
        if too_many or not self._pending.begin(connection.account_id):
            refused(self._hub.report.metrics, "calls", connection.account_id)
            return answer(ack, ok=False, error=TOO_MANY_CALLS)
        connection.calls += 1
        on_response = partial(self._respond, connection, ack)
        account_id, caller, params = connection.account_id, connection.id, request.params or None
        try:
            if not self._rpc.call_here(account_id, caller, request.method, params, on_response):
                self._begin(connection, request, on_response)
        except Exception:
            log.exception("RPC call failed")
            self._rpc.refused("internal_error", request.method)
            on_response(RpcFailed(INTERNAL_ERROR))
        return None

    def _begin(self, connection: Connection, request: Call, on_response: OnResponse) -> None:
        """Call a method that no connection of this replica serves; its `params` are kept meanwhile."""
        if self._pending.keep(connection.account_id, len(request.params)):
            self._spawn(self._call(connection, request, on_response))
        else:
            refused(self._hub.report.metrics, "calls", connection.account_id)
            on_response(RpcFailed(TOO_MANY_CALLS))

    async def _call(self, connection: Connection, request: Call, on_response: OnResponse) -> None:
        """Find the connection that serves the method, on any replica, or wait for its registration."""
        account_id, caller, params = connection.account_id, connection.id, request.params or None
        try:
            response: Response = await self._rpc.call(account_id, caller, request.method, params)
        except RpcFailed as failure:
            response = failure
        except Exception:
            log.exception("RPC call failed")
            response = RpcFailed(INTERNAL_ERROR)
        finally:
            self._pending.drop(account_id, len(request.params))
        on_response(response)

    def _respond(self, connection: Connection, ack: Ack | None, response: Response) -> None:
        connection.calls -= 1
        self._pending.end(connection.account_id)
        if isinstance(response, Exception):
            answer(ack, ok=False, error=str(response))
        elif ack is not None:
            ack(b'{"ok":true}' if response is None else b'{"ok":true,"result":%b}' % response)

    def _spawn(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def close(self) -> None:
        """Cancel all pending calls and requests."""
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        self._rpc.close()
        if self._remote is not None:
            await self._remote.close()


def _refuse(connection: Connection, kind: str, error: str = "Invalid method name") -> None:
    refusal = {"type": kind, "error": error}
    connection.socket.emit("rpc-error", msgspec.json.encode(refusal))
