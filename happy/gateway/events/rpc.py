"""Remote procedure calls between the connections of an account (protocol: realtime#rpc-calls)."""

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Iterable, Mapping
from functools import partial
from typing import Any

import msgspec

from happy.domain.ports.presence import Holder
from happy.domain.ports.rpc import OnResponse, Response
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.payloads import Call, Method, parse
from happy.gateway.hub import RANKS, Connection, Handler, Hub
from happy.limits import limit
from happy.services.cluster_rpc import ClusterRpc
from happy.services.rpc import RpcFailed, RpcService

Payload = msgspec.Raw | None
MAX_METHODS = limit(1_000, "RPC methods registered", per="connection", then="`rpc-error`: `Too many methods`")
MAX_CALLS = limit(
    2_000, "RPC calls that wait for their response", per="connection", then="refused: `Too many calls`"
)
"""Limits per connection, far above use: clients register some twenty methods and make one call at a time."""

REGISTERED = "registered"
INTERNAL_ERROR = "Internal error"
METHOD_REQUIRED = "Invalid parameters: method is required"

log = logging.getLogger(__name__)


class RpcEvents:
    def __init__(self, hub: Hub, rpc: RpcService, remote: ClusterRpc | None = None) -> None:
        self._hub = hub
        self._rpc = rpc
        self._remote = remote
        self._calls: set[asyncio.Task[None]] = set()

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
        if request is None or not request.method:
            _refuse(connection, "register")
            return None
        if len(connection.methods) >= MAX_METHODS and request.method not in connection.methods:
            _refuse(connection, "register", "Too many methods")
            return None
        self._hub.register(connection, request.method)
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
        if request is None or not request.method:
            _refuse(connection, "unregister")
            return None
        self._hub.unregister(connection, request.method)
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
        if connection.calls >= MAX_CALLS:
            return answer(ack, ok=False, error="Too many calls")
        connection.calls += 1
        on_response = partial(_respond, connection, ack)
        account_id, caller, params = connection.account_id, connection.id, request.params or None
        try:
            if not self._rpc.call_here(account_id, caller, request.method, params, on_response):
                self._spawn(self._call(connection, request, on_response))
        except Exception:
            log.exception("RPC call failed")
            self._rpc.refused("internal_error", request.method)
            on_response(RpcFailed(INTERNAL_ERROR))
        return None

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
        on_response(response)

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


def _respond(connection: Connection, ack: Ack | None, response: Response) -> None:
    connection.calls -= 1
    if isinstance(response, Exception):
        answer(ack, ok=False, error=str(response))
    elif ack is not None:
        ack(b'{"ok":true}' if response is None else b'{"ok":true,"result":%b}' % response)


def _refuse(connection: Connection, kind: str, error: str = "Invalid method name") -> None:
    refusal = {"type": kind, "error": error}
    connection.socket.emit("rpc-error", msgspec.json.encode(refusal))
