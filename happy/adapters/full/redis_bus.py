"""Events to all nodes and messages to one, over Redis; nothing is lost while Redis or a link to it is away.

Every frame of an account has a number and stays in a short history, so that a node knows what it missed and
reads it there. Where the history does not reach back, the connections of exactly that account start over.
"""

import asyncio
import logging
import secrets
import struct
import time
from typing import Any

from happy.adapters.full.redis_link import RedisLink
from happy.adapters.full.redis_scripts import PUBLISH, RECOVER
from happy.adapters.full.redis_wire import Broken
from happy.domain.errors import Unavailable
from happy.domain.ports.pubsub import OnFrame, OnGap, OnMessage
from happy.domain.values import AccountId, NodeId

HISTORY = 256
"""How many frames of an account are kept at least."""

HISTORY_SECONDS = 120
KEPT_BYTES = 64 * 1024
"""Larger frames are not kept: whoever misses one starts over."""

MARGIN_SECONDS = 10
CHUNK = 500
LATE_SECONDS = 4.0
HEADER = struct.Struct("!16sQqB")
FRAME, AGAIN, GAP = range(3)

log = logging.getLogger(__name__)


class Followed:
    """An account with connections here: the last number that was heard, and the last of each other node."""

    __slots__ = ("held_back", "offset", "seen", "since")

    def __init__(self) -> None:
        self.offset: int | None = None
        self.seen: dict[bytes, int] = {}
        self.since = int(time.time() * 1000)
        self.held_back: list[bytes] | None = []


class RedisBus:
    def __init__(self, link: RedisLink, node_id: NodeId) -> None:
        self.node_id = node_id
        self._link = link
        self._prefix = link.prefix
        self._me = node_id.encode()
        self._number = 0
        self._publish = self._recover = b""
        self._epoch: bytes | None = None
        self._server: list[bytes] = []
        self._check_until = 0.0
        self._followed: dict[AccountId, Followed] = {}
        self._told: dict[bytes, int] = {}
        self._on_frame: OnFrame = _ignore()
        self._on_gap: OnGap = _ignore()
        self._on_message: OnMessage = _ignore()

    def listen(self, on_frame: OnFrame, on_gap: OnGap) -> None:
        self._on_frame, self._on_gap = on_frame, on_gap

    def listen_to_nodes(self, on_message: OnMessage) -> None:
        self._on_message = on_message

    # Out

    def publish(self, account_id: AccountId, frame: bytes) -> None:
        number, at = self._next(), int(time.time() * 1000)
        self._link.send(
            *self._publication(account_id, HEADER.pack(self._me, number, at, FRAME) + frame),
            subject=account_id,
            again=self._publication(account_id, HEADER.pack(self._me, number, at, AGAIN) + frame),
        )

    def send(self, to: NodeId, payload: bytes) -> None:
        self._link.send(*self._to_node(to, payload))

    async def deliver(self, to: NodeId, payload: bytes) -> bool:
        """Redis knows who listens: a node that was killed does not, long before its leases run out."""
        listeners: int = await self._link.ask(*self._to_node(to, payload))
        return listeners > 0

    def _to_node(self, to: NodeId, payload: bytes) -> tuple[str | bytes, ...]:
        header = HEADER.pack(self._me, self._next(), 0, FRAME)
        return ("PUBLISH", self._node_channel(to), header + payload)

    def report_gap(self, account_id: str) -> None:
        """What was to be published for the account had to be dropped."""
        log.warning("events for an account were dropped because Redis was away for long")
        header = HEADER.pack(self._me, self._next(), 0, GAP)
        self._link.send(*self._publication(AccountId(account_id), header))

    def _next(self) -> int:
        self._number += 1
        return self._number

    def _publication(self, account_id: AccountId, message: bytes) -> tuple[str | bytes | int, ...]:
        kept = "1" if len(message) <= KEPT_BYTES else "0"
        keys = (f"{self._prefix}n:{account_id}", f"{self._prefix}h:{account_id}")
        options = (self._channel(account_id), message, HISTORY, HISTORY_SECONDS * 1000, kept)
        return ("EVALSHA", self._publish, 2, *keys, *options)

    def _channel(self, account_id: AccountId) -> str:
        return f"{self._prefix}e:{account_id}"

    def _node_channel(self, node_id: NodeId) -> str:
        return f"{self._prefix}m:{node_id}"

    # Accounts

    async def watch(self, account_id: AccountId) -> None:
        """While Redis is away there is nothing to hear; what others publish is read when it is back."""
        if account_id in self._followed:
            if self._followed[account_id].offset is None and self._link.up:
                await self._subscribe(account_id, self._followed[account_id])
            return
        followed = self._followed[account_id] = Followed()
        if self._link.up:
            await self._subscribe(account_id, followed)

    async def _subscribe(self, account_id: AccountId, followed: Followed) -> None:
        try:
            await self._link.subscriptions.subscribe(self._channel(account_id))
            top = await self._link.ask("GET", f"{self._prefix}n:{account_id}")
        except Unavailable:
            return  # it is restored with all others
        if followed.offset is None:
            followed.offset = int(top or 0)
            self._release(account_id, followed)

    def unwatch(self, account_id: AccountId) -> None:
        if self._followed.pop(account_id, None) is not None and self._link.up:
            self._link.subscriptions.unsubscribe(self._channel(account_id))

    # In

    def on_push(self, channel: bytes, data: bytes) -> None:
        name = channel.decode().removeprefix(self._prefix)
        if name.startswith("e:"):
            account_id = AccountId(name[2:])
            followed = self._followed.get(account_id)
            if followed is None:
                return
            if followed.held_back is not None:
                followed.held_back.append(data)
            else:
                self._hear(account_id, followed, data)
        elif name.startswith("m:"):
            sender, number, _, _ = HEADER.unpack_from(data)
            if number > self._told.get(sender, 0):  # else it was sent twice
                self._told[sender] = number
                self._on_message(NodeId(sender.decode()), data[HEADER.size :])

    def _hear(self, account_id: AccountId, followed: Followed, data: bytes) -> None:
        place_text, before_text, message = data.split(b" ", 2)
        place, before, offset = int(place_text), int(before_text), followed.offset or 0
        if place <= offset:
            return
        if before > offset and offset:
            raise Broken("an event was missed")  # the new life of the connections reads it from the history
        followed.offset = place
        self._deliver(account_id, followed, message)

    def _deliver(self, account_id: AccountId, followed: Followed, message: bytes) -> None:
        sender, number, at, kind = HEADER.unpack_from(message)
        if sender == self._me or number <= followed.seen.get(sender, 0):
            return
        followed.seen[sender] = number
        if kind == GAP:
            self._on_gap(account_id)
        elif kind == FRAME or at >= followed.since:
            self._on_frame(account_id, message[HEADER.size :])

    def _release(self, account_id: AccountId, followed: Followed) -> None:
        held_back, followed.held_back = followed.held_back, None
        for data in held_back or ():
            self._hear(account_id, followed, data)

    # Redis is there again

    async def restore(self) -> bool:
        """Whether this may be another Redis, which need not know all that the one before confirmed."""
        ask = self._link.ask_first
        for followed in self._followed.values():
            followed.held_back = []
        self._publish = await ask("SCRIPT", "LOAD", PUBLISH)
        self._recover = await ask("SCRIPT", "LOAD", RECOVER)
        await self._link.subscriptions.subscribe(self._node_channel(self.node_id))
        replaced, lost = await self._is_another(), await self._memory_was_lost()
        if lost:
            self._check_until = time.monotonic() + LATE_SECONDS * 3
            await self.check_lateness()
        done: set[AccountId] = set()
        while missing := [account_id for account_id in self._followed if account_id not in done][:CHUNK]:
            await self._link.subscriptions.subscribe(*map(self._channel, missing))
            await asyncio.gather(*(self._catch_up(account_id, lost=lost) for account_id in missing))
            done.update(missing)  # others may have joined meanwhile
        return replaced

    async def _is_another(self) -> bool:
        info: bytes = await self._link.ask_first("INFO", "server")
        known, self._server = (
            self._server,
            [line for line in info.splitlines() if line.startswith(b"run_id:")],
        )
        return known != self._server

    async def _memory_was_lost(self) -> bool:
        ask, key = self._link.ask_first, f"{self._prefix}epoch"
        await ask("SET", key, secrets.token_hex(8), "NX")
        known, self._epoch = self._epoch, await ask("GET", key)
        return known is not None and known != self._epoch

    async def _catch_up(self, account_id: AccountId, *, lost: bool) -> None:
        followed = self._followed.get(account_id)
        if followed is None:
            return
        keys = (f"{self._prefix}n:{account_id}", f"{self._prefix}h:{account_id}")
        offset = 0 if lost else followed.offset or 0
        top, first, before, entries = await self._link.ask_first("EVALSHA", self._recover, 2, *keys, offset)
        complete = self._is_complete(followed, int(top), int(first.split(b"-")[0]), int(before), lost=lost)
        joined = followed.offset is None
        for place, (_, _, _, message) in entries:
            complete = complete and bool(message)
            followed.offset = int(place.split(b"-")[0])
            if message and (not joined or HEADER.unpack_from(message)[2] >= followed.since):
                self._deliver(account_id, followed, message)
        followed.offset = max(int(top), 0 if lost else followed.offset or 0)
        self._release(account_id, followed)
        if not complete:
            self._on_gap(account_id)

    def _is_complete(self, followed: Followed, top: int, first: int, before: int, *, lost: bool) -> bool:
        """Whether the history reaches back to what was heard last."""
        in_time = time.time() - self._link.broke_at < HISTORY_SECONDS - MARGIN_SECONDS
        offset = followed.offset
        if lost or offset is None:  # the others send what Redis forgot, or never had, again
            return in_time or lost
        if top == offset:
            return True
        if first == 0 or before == 0:  # nothing was published for long, and perhaps something since
            return in_time
        return before <= offset

    # Redis has lost its memory

    async def check_lateness(self) -> None:
        """Whether another node has still reached Redis after this one had lost it.

        What that one published then is gone, and too old to be sent again: all connections here start over.
        """
        if time.monotonic() > self._check_until or self._epoch is None:
            return
        key, broke_at = f"{self._prefix}breaks:{self._epoch.decode()}", self._link.broke_at
        await self._link.ask_first("HSET", key, self.node_id, str(broke_at))
        await self._link.ask_first("EXPIRE", key, 600)
        found: list[Any] = await self._link.ask_first("HVALS", key)
        if max(map(float, found)) > broke_at + LATE_SECONDS:
            self._check_until = 0.0
            for account_id in list(self._followed):
                self._on_gap(account_id)


def _ignore() -> Any:
    """Stands in for who has not said yet that he listens."""
    return lambda *_: None
