"""RPC calls to connections of other replicas: one lookup, two messages, and no wait for dead replicas."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Literal

import msgspec
from msgspec import Struct

from happy.domain.errors import Unavailable
from happy.domain.ports.cluster import ReplicaLink
from happy.domain.ports.presence import Holder, Presence
from happy.domain.ports.rpc import LocalConnections, Response
from happy.domain.values import AccountId, ConnectionId, ReplicaId
from happy.services.pending_requests import PendingRequests

WATCH_SECONDS = 0.8
MISSES = 2
"""A replica that misses this many checks in a row counts as dead; one miss may be a network error."""


class CallHeader(Struct, frozen=True, array_like=True, tag="call"):
    id: int
    account_id: AccountId
    connection_id: ConnectionId
    method: str


class ResponseHeader(Struct, frozen=True, array_like=True, tag="answer"):
    """`absent`: the connection does not serve the method. `gone`: it closed before it responded."""

    id: int
    outcome: Literal["done", "absent", "gone"]


class Absent(Exception):
    """The claim was stale: no request was sent."""


class Pending(Struct, frozen=True):
    replica_id: ReplicaId
    response: "asyncio.Future[msgspec.Raw | None]"


class ClusterRpc:
    def __init__(
        self, connections: LocalConnections, link: ReplicaLink, presence: Presence, call_seconds: float
    ) -> None:
        self.replica_id = link.replica_id
        self._connections = connections
        self._link = link
        self._presence = presence
        self._pending_requests = PendingRequests(call_seconds)
        self._ids = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._watching: asyncio.Task[None] | None = None

    async def claim(self, account_id: AccountId, method: str, holder: Holder) -> None:
        """Returns when every replica can find the claim; at once while Redis is unreachable."""
        await self._presence.claim(account_id, _name(method), holder)

    async def release(self, account_id: AccountId, method: str, holder: Holder) -> None:
        await self._presence.release(account_id, _name(method), holder)

    async def holders(self, account_id: AccountId, method: str) -> Sequence[Holder]:
        """Machine scope before others, then the newest."""
        return await self._presence.holders(account_id, _name(method))

    async def call(
        self, holder: Holder, account_id: AccountId, method: str, params: msgspec.Raw | None
    ) -> msgspec.Raw | None:
        """Raises Absent, and Unavailable when the connection or its replica goes away."""
        call = CallHeader(next(self._ids), account_id, holder.connection_id, method)
        response: asyncio.Future[msgspec.Raw | None] = asyncio.get_running_loop().create_future()
        self._pending[call.id] = Pending(holder.replica_id, response)
        self._watch()
        try:
            if not await self._link.deliver(holder.replica_id, _pack(call, params)):
                raise Absent
            return await response
        finally:
            del self._pending[call.id]

    def on_message(self, sender: ReplicaId, payload: bytes) -> None:
        header_json, _, body = payload.partition(b"\n")
        header = msgspec.json.decode(header_json, type=CallHeader | ResponseHeader)
        content = msgspec.Raw(body) if body else None
        if isinstance(header, CallHeader):
            self._serve(sender, header, content)
        else:
            self._receive_response(header, content)

    def _serve(self, sender: ReplicaId, call: CallHeader, params: msgspec.Raw | None) -> None:
        target = self._connections.serves(call.account_id, call.method, call.connection_id)
        if target is None:
            self._link.send(sender, _pack(ResponseHeader(call.id, "absent"), None))
        else:
            self._pending_requests.send(
                target, call.method, params, partial(self._send_response, sender, call.id)
            )

    def _send_response(self, sender: ReplicaId, call_id: int, response: Response) -> None:
        if isinstance(response, TimeoutError):
            return  # the caller has timed out too
        if isinstance(response, Exception):
            self._link.send(sender, _pack(ResponseHeader(call_id, "gone"), None))
        else:
            self._link.send(sender, _pack(ResponseHeader(call_id, "done"), response))

    def _receive_response(self, header: ResponseHeader, result: msgspec.Raw | None) -> None:
        pending = self._pending.get(header.id)
        if pending is None or pending.response.done():
            return
        if header.outcome == "done":
            pending.response.set_result(result)
        elif header.outcome == "absent":
            pending.response.set_exception(Absent())
        else:
            pending.response.set_exception(Unavailable("the connection has gone"))

    # Replicas that die

    def _watch(self) -> None:
        if self._watching is None or self._watching.done():
            self._watching = asyncio.get_running_loop().create_task(self._watch_replicas())

    async def _watch_replicas(self) -> None:
        """One watcher for all calls: fail those that wait for a replica that is dead."""
        misses: Counter[ReplicaId] = Counter()
        while self._pending:
            await asyncio.sleep(WATCH_SECONDS)
            for replica_id in {pending.replica_id for pending in self._pending.values()}:
                try:
                    alive = await self._link.is_alive(replica_id)
                except Unavailable:  # this replica is cut off itself
                    misses.clear()
                    break
                misses[replica_id] = 0 if alive else misses[replica_id] + 1
                if misses[replica_id] >= MISSES:
                    self._give_up(replica_id)

    def _give_up(self, replica_id: ReplicaId) -> None:
        for pending in self._pending.values():
            if pending.replica_id == replica_id and not pending.response.done():
                pending.response.set_exception(Unavailable("the replica has gone"))

    async def close(self) -> None:
        """Stop serving and checking; the replicas of pending callers notice and fail the calls."""
        self._pending_requests.close()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)


def _name(method: str) -> str:
    return f"rpc:{method}"


def _pack(header: CallHeader | ResponseHeader, body: msgspec.Raw | None) -> bytes:
    return msgspec.json.encode(header) + b"\n" + (bytes(body) if body is not None else b"")
