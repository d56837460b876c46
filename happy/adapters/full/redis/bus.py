"""Events to all nodes and messages to one, over Redis; nothing is lost while Redis or a link to it is away.

Every frame of an account has a number and stays in a short history, so that a node knows what it missed and
reads it there. Where the history does not reach back, the connections of exactly that account start over.
"""

import asyncio
import logging
import struct
import time
from functools import partial
from typing import Any

from happy.adapters.full.redis.clock import clock_difference
from happy.adapters.full.redis.envelopes import Kept, RedisEnvelopes, Retention
from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.publish_intents import RedisUnpublished
from happy.adapters.full.redis.wire import Broken
from happy.adapters.steady_clock import steady_time
from happy.domain.errors import Unavailable
from happy.domain.ports.cluster import CLOCK_MS, OnEnvelope, OnMessage, OnResync, Origin
from happy.domain.values import AccountId, ReplicaId

MARGIN_SECONDS = 10
CHUNK = 500
LATE_SECONDS = 4.0
HEADER = struct.Struct("!16sQqB")
FRAME, AGAIN, GAP = range(3)
EPOCH_LENGTH = 8

log = logging.getLogger(__name__)


class Subscription:
    """An account with connections here: the last number that was heard, and the last of each other node."""

    __slots__ = ("held_back", "offset", "seen", "since")

    def __init__(self, since: int) -> None:
        self.offset: int | None = None
        self.seen: dict[bytes, int] = {}
        self.since = since
        self.held_back: list[bytes] | None = []

    def precedes(self, message: bytes) -> bool:
        """Whether it was published before anybody listened here, as far as can be said without its place."""
        sender, _, at, _ = HEADER.unpack_from(message)
        return sender not in self.seen and self.is_older(at)

    def is_older(self, at: int) -> bool:
        """Whether it was published before the subscription, though clocks differ; if unsure, no."""
        return at < self.since - CLOCK_MS


class RedisBus:
    has_peers = True

    def __init__(self, link: RedisLink, replica_id: ReplicaId, keeping: Retention | None = None) -> None:
        self.replica_id = replica_id
        self.number = 0  # of what this node published last
        self.epoch: str | None = None  # another one with another Redis: places start anew
        self.envelopes = RedisEnvelopes(link.prefix, keeping or Retention())
        self._link = link
        self._prefix = link.prefix
        self._me = replica_id.encode()
        self._check_until = 0.0
        self._ahead = 0  # how far the clock of Redis is ahead of ours, in ms
        self._followed: dict[AccountId, Subscription] = {}
        self._told: dict[bytes, int] = {}
        self.unpublished = RedisUnpublished(link, replica_id)
        self.begin_commit, self.end_commit = self.unpublished.begin_commit, self.unpublished.end_commit
        self._on_frame: OnEnvelope = _ignore()
        self._on_gap: OnResync = _ignore()
        self._on_message: OnMessage = _ignore()

    def listen(self, on_envelope: OnEnvelope, on_resync: OnResync) -> None:
        self._on_frame, self._on_gap = on_envelope, on_resync

    def listen_to_nodes(self, on_message: OnMessage) -> None:
        self._on_message = on_message

    def now(self) -> int:
        """The time of Redis in ms, as it was told last: clocks of nodes may differ."""
        return int(steady_time() * 1000) + self._ahead

    # Out

    def publish(self, account_id: AccountId, envelope: bytes) -> None:
        number, at = self._next(), self.now()
        self._link.send_packed(
            self._publication(account_id, number, at, FRAME, envelope),
            subject=account_id,
            again=partial(self._publication, account_id, number, at, AGAIN, envelope),
        )

    def send(self, to: ReplicaId, payload: bytes) -> None:
        self._link.send(*self._to_node(to, payload))

    async def deliver(self, to: ReplicaId, payload: bytes) -> bool:
        """Redis knows who listens: a node that was killed does not, long before its leases run out."""
        listeners: int = await self._link.ask(*self._to_node(to, payload))
        return listeners > 0

    def _to_node(self, to: ReplicaId, payload: bytes) -> tuple[str | bytes, ...]:
        header = HEADER.pack(self._me, self._next(), 0, FRAME)
        return ("PUBLISH", self._node_channel(to), header + payload)

    def report_drop(self, account_id: str) -> None:
        """What was to be published for the account had to be dropped."""
        log.warning("events for an account were dropped because Redis was away for long")
        self.resync(AccountId(account_id))

    def resync(self, account_id: AccountId) -> None:
        self._link.send_packed(self._publication(account_id, self._next(), 0, GAP, b""))

    def _publication(self, account_id: AccountId, number: int, at: int, kind: int, envelope: bytes) -> bytes:
        message = HEADER.pack(self._me, number, at, kind) + envelope
        return self.envelopes.publication(account_id, self.replica_id, number, message)

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _node_channel(self, replica_id: ReplicaId) -> str:
        return f"{self._prefix}m:{replica_id}"

    # Accounts

    async def subscribe(self, account_id: AccountId) -> None:
        """While Redis is away there is nothing to hear; what others publish is read when it is back."""
        if account_id in self._followed:
            if self._followed[account_id].offset is None and self._link.up:
                await self._subscribe(account_id, self._followed[account_id])
            return
        followed = self._followed[account_id] = Subscription(self.now())
        if self._link.up:
            await self._subscribe(account_id, followed)

    async def _subscribe(self, account_id: AccountId, followed: Subscription) -> None:
        try:
            await self._link.subscriptions.subscribe(self.envelopes.channel(account_id))
            top = await self.envelopes.top(self._link.ask, account_id)
        except Unavailable:
            return  # it is restored with all others
        if followed.offset is None:
            followed.offset = top
            self._release(account_id, followed)

    def unsubscribe(self, account_id: AccountId) -> None:
        if self._followed.pop(account_id, None) is not None and self._link.up:
            self._link.subscriptions.unsubscribe(self.envelopes.channel(account_id))

    def heard(self, account_id: AccountId) -> int | None:
        """Up to which place all of a watched account was heard here, None while that is not known."""
        followed = self._followed.get(account_id)
        return None if followed is None or followed.held_back is not None else followed.offset

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
                self._on_message(ReplicaId(sender.decode()), data[HEADER.size :])

    def _hear(self, account_id: AccountId, followed: Subscription, data: bytes) -> None:
        place_text, before_text, message = data.split(b" ", 2)
        place, before, offset = int(place_text), int(before_text), followed.offset or 0
        if place <= offset:
            return
        if before > offset and offset:
            raise Broken("an event was missed")  # the new life of the connections reads it from the history
        followed.offset = place
        self._deliver(account_id, followed, message)

    def _deliver(self, account_id: AccountId, followed: Subscription, message: bytes) -> None:
        sender, number, at, kind = HEADER.unpack_from(message)
        if sender == self._me or number <= followed.seen.get(sender, 0):
            return
        followed.seen[sender] = number
        if kind == GAP:
            self._on_gap(account_id, at or None)
        elif kind == FRAME or not followed.is_older(at):
            self._on_frame(account_id, message[HEADER.size :], Origin(ReplicaId(sender.decode()), number, at))

    def _release(self, account_id: AccountId, followed: Subscription) -> None:
        held_back, followed.held_back = followed.held_back, None
        for data in held_back or ():
            self._hear(account_id, followed, data)

    # Redis is there again

    async def restore(self) -> bool:
        """Whether this is another Redis, which need not know all that the one before confirmed."""
        ask = self._link.ask_first
        for followed in self._followed.values():
            followed.held_back = []
        await self.envelopes.load(ask)
        await self._link.subscriptions.subscribe(self._node_channel(self.replica_id))
        lost = await self._is_another()
        self._ahead = await clock_difference(ask)
        await self.unpublished.restore(self.now())
        if lost:
            self._check_until = time.monotonic() + LATE_SECONDS * 3
            await self.check_lateness()
        done: set[AccountId] = set()
        while missing := [account_id for account_id in self._followed if account_id not in done][:CHUNK]:
            await self._link.subscriptions.subscribe(*map(self.envelopes.channel, missing))
            await asyncio.gather(*(self._catch_up(account_id, lost=lost) for account_id in missing))
            done.update(missing)  # others may have joined meanwhile
        return lost

    async def _is_another(self) -> bool:
        """After a restart it has forgotten everything, after a fail-over perhaps the last moments."""
        info: bytes = await self._link.ask_first("INFO", "server")
        run_id = next(line for line in info.splitlines() if line.startswith(b"run_id:"))
        known, self.epoch = self.epoch, run_id.partition(b":")[2][:EPOCH_LENGTH].decode()
        return known not in (None, self.epoch)

    async def _catch_up(self, account_id: AccountId, *, lost: bool) -> None:
        followed = self._followed.get(account_id)
        if followed is None:
            return
        offset = 0 if lost else followed.offset or 0
        kept = await self.envelopes.after(self._link.ask_first, account_id, offset)
        complete = self._is_complete(followed, kept, lost=lost)
        if not complete or not all(message for _, message in kept.envelopes):
            self._on_gap(account_id)  # ahead of what is there, so that nobody seems to have heard the rest
        anew = lost or followed.offset is None
        for place, message in kept.envelopes:
            followed.offset = place
            if message and not (anew and followed.precedes(message)):
                self._deliver(account_id, followed, message)
        followed.offset = max(kept.top, 0 if lost else followed.offset or 0)
        self._release(account_id, followed)

    def _is_complete(self, followed: Subscription, kept: Kept, *, lost: bool) -> bool:
        """Whether the history reaches back to what was heard last."""
        kept_for = self.envelopes.keeping.seconds - MARGIN_SECONDS
        in_time = steady_time() - self._link.broke_at < kept_for
        offset = followed.offset
        if lost or offset is None:  # the others send what Redis forgot, or never had, again
            return in_time or lost
        if kept.top == offset:
            return True
        if kept.first == 0:  # what followed is gone
            return False
        return kept.before <= offset if kept.before else in_time  # 0: nothing was published for long before

    # Another node has gone

    async def look_for_dead(self) -> None:
        """Connections start over where a node that was killed may not have published everything.

        The gap is published, too: nodes notice one after another, and a connection that one of them closes
        must not recover on one that has closed its own already.
        """
        for account_id, silent_since in await self.unpublished.tick(self.now()):
            self._link.send_packed(self._publication(account_id, self._next(), silent_since, GAP, b""))
            if account_id in self._followed:
                self._on_gap(account_id, silent_since)

    # Redis has lost its memory

    async def check_lateness(self) -> None:
        """Whether another node has still reached Redis after this one had lost it.

        What that one published then is gone, and too old to be sent again: all connections here start over.
        """
        if time.monotonic() > self._check_until or self.epoch is None:
            return
        key, broke_at = f"{self._prefix}breaks:{self.epoch}", self._link.broke_at
        await self._link.ask_first("HSET", key, self.replica_id, str(broke_at))
        await self._link.ask_first("EXPIRE", key, 600)
        found: list[Any] = await self._link.ask_first("HVALS", key)
        if max(map(float, found)) > broke_at + LATE_SECONDS:
            self._check_until = 0.0
            for account_id in list(self._followed):
                self._on_gap(account_id)


def _ignore() -> Any:
    """Stands in for who has not said yet that he listens."""
    return lambda *_: None
