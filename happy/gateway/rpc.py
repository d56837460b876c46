"""Remote procedure calls between the connections of an account (contract 02 section 8)."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

import msgspec

from happy.gateway.answers import answer
from happy.gateway.engine import Ack
from happy.gateway.hub import Connection, Handler, Hub
from happy.gateway.payloads import Call, Method, parse
from happy.services.rpc import RpcFailed, RpcService

Payload = msgspec.Raw | None
MOST_METHODS = 1_000
MOST_CALLS = 2_000
"""What one connection may have under way; clients register some twenty methods and call one at a time."""

METHOD_REQUIRED = "Invalid parameters: method is required"

log = logging.getLogger(__name__)


class RpcEvents:
    def __init__(self, hub: Hub, rpc: RpcService) -> None:
        self._hub = hub
        self._rpc = rpc
        self._calls: set[asyncio.Task[None]] = set()

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "rpc-register": self.register,
            "rpc-unregister": self.unregister,
            "rpc-call": self.call,
        }

    def register(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:  # noqa: ARG002
        asked = parse(payload, Method)
        if asked is None or not asked.method:
            return _refuse(connection, "register")
        if len(connection.methods) >= MOST_METHODS and asked.method not in connection.methods:
            return _refuse(connection, "register", "Too many methods")
        self._hub.register(connection, asked.method)
        connection.socket.emit("rpc-registered", msgspec.json.encode(asked))
        self._rpc.registered(connection.account_id, asked.method)
        return None

    def unregister(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:  # noqa: ARG002
        asked = parse(payload, Method)
        if asked is None or not asked.method:
            return _refuse(connection, "unregister")
        self._hub.unregister(connection, asked.method)
        connection.socket.emit("rpc-unregistered", msgspec.json.encode(asked))
        return None

    def call(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:
        """Run in a task of its own: the caller's other events must not wait for somebody else's answer."""
        asked = parse(payload, Call)
        if asked is None or not asked.method:
            return answer(ack, ok=False, error=METHOD_REQUIRED)
        if connection.calls >= MOST_CALLS:
            return answer(ack, ok=False, error="Too many calls")
        connection.calls += 1
        return self._spawn(self._call(connection, asked, ack))

    async def _call(self, connection: Connection, asked: Call, ack: Ack | None) -> None:
        try:
            result = await self._rpc.call(
                connection.account_id, connection.id, asked.method, asked.params or None
            )
        except RpcFailed as failure:
            return answer(ack, ok=False, error=str(failure))
        except Exception:
            log.exception("a remote call failed")
            return answer(ack, ok=False, error="Internal error")
        finally:
            connection.calls -= 1
        return answer(ack, ok=True) if result is None else answer(ack, ok=True, result=result)

    def _spawn(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(call)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def close(self) -> None:
        """Give up on calls whose answers nobody waits for any more."""
        for task in self._calls:
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)


def _refuse(connection: Connection, kind: str, error: str = "Invalid method name") -> None:
    refusal = {"type": kind, "error": error}
    connection.socket.emit("rpc-error", msgspec.json.encode(refusal))
