"""Envelopes to all replicas and messages to one, over Redis; nothing is lost while Redis is out of reach.

Every envelope of an account has an offset and is kept in a short history, from which a replica reads what it
missed after an outage. Where the history does not reach back, the connections of exactly that account resync.
"""

import asyncio
import logging
from functools import partial
from typing import Any

from happy.adapters.full.redis.account import ENVELOPE, HEADER, REPEATED, RESYNC, Subscription
from happy.adapters.full.redis.clock import clock_difference
from happy.adapters.full.redis.envelopes import HistorySlice, RedisEnvelopes, Retention
from happy.adapters.full.redis.epochs import Epochs
from happy.adapters.full.redis.link import RedisLink
from happy.adapters.full.redis.publish_intents import PublishIntents
from happy.adapters.full.redis.wire import Broken
from happy.adapters.steady_clock import steady_time
from happy.domain.errors import Unavailable
from happy.domain.ports.cluster import OnEnvelope, OnMessage, OnResync, Origin
from happy.domain.ports.delivery import DropReport, NotDelivered
from happy.domain.values import AccountId, ReplicaId

MARGIN_SECONDS = 10
CHUNK = 500

log = logging.getLogger(__name__)


class RedisBus:
    """Implements `EventBus`, and carries the messages of `RedisReplicaLink`."""

    has_peers = True

    def __init__(
        self,
        link: RedisLink,
        replica_id: ReplicaId,
        retention: Retention | None = None,
        report: DropReport | None = None,
    ) -> None:
        self.replica_id = replica_id
        self.number = 0  # of what this replica published last
        self.epochs = Epochs(link, replica_id)
        self.envelopes = RedisEnvelopes(link.prefix, retention or Retention())
        self.intents = PublishIntents(link, replica_id)
        self._link = link
        self._report = report
        self._prefix = link.prefix
        self._me = replica_id.encode()
        self._ahead = 0  # how far the clock of Redis is ahead of ours, in ms
        self._subscribed: dict[AccountId, Subscription] = {}
        self._message_numbers: dict[bytes, int] = {}
        self._dropped: set[AccountId] = set()  # published events were dropped since the last resync
        self._on_envelope: OnEnvelope = _ignore
        self._on_resync: OnResync = _ignore
        self._on_message: OnMessage = _ignore

    def listen(self, on_envelope: OnEnvelope, on_resync: OnResync) -> None:
        self._on_envelope, self._on_resync = on_envelope, on_resync

    def listen_to_messages(self, on_message: OnMessage) -> None:
        self._on_message = on_message

    def now(self) -> int:
        """The time of Redis in ms, by its last answer: the clocks of replicas may differ."""
        return int(steady_time() * 1000) + self._ahead

    def begin_commit(self, account_id: AccountId) -> None:
        self.intents.begin_commit(account_id)

    def end_commit(self, account_id: AccountId) -> None:
        self.intents.end_commit(account_id)

    # Sending

    def publish(self, account_id: AccountId, *envelope: bytes) -> None:
        number, at = self._next(), self.now()
        self._link.send_packed(
            self._publication(account_id, number, at, ENVELOPE, *envelope),
            subject=account_id,
            again=partial(self._publication, account_id, number, at, REPEATED, *envelope),
        )

    def send(self, to: ReplicaId, payload: bytes) -> None:
        self._link.send(*self._to_replica(to, payload))

    async def deliver(self, to: ReplicaId, payload: bytes) -> bool:
        """Redis counts subscribers: a replica that was killed is none, long before its lease expires."""
        listeners: int = await self._link.execute(*self._to_replica(to, payload))
        return listeners > 0

    def _to_replica(self, to: ReplicaId, payload: bytes) -> tuple[str | bytes, ...]:
        header = HEADER.pack(self._me, self._next(), 0, ENVELOPE)
        return ("PUBLISH", self._replica_channel(to), header + payload)

    def on_drop(self, account_id: AccountId) -> None:
        """A command that publishes an envelope was dropped: too many were queued."""
        self._not_delivered(NotDelivered.OUTAGE_OVERFLOW, account_id)
        self._dropped.add(account_id)

    def resync_dropped(self) -> None:
        """Resync accounts of which envelopes were dropped."""
        dropped, self._dropped = self._dropped, set()
        for account_id in dropped:
            log.warning("events for an account were dropped because Redis was away for long")
            self.resync(account_id)

    def resync(self, account_id: AccountId) -> None:
        command = self._publication(account_id, self._next(), 0, RESYNC)
        self._link.send_packed(command, subject=account_id)

    def _publication(self, account_id: AccountId, number: int, at: int, kind: int, *envelope: bytes) -> bytes:
        header = HEADER.pack(self._me, number, at, kind)
        return self.envelopes.publication(account_id, self.replica_id, number, header, *envelope)

    def _next(self) -> int:
        self.number += 1
        return self.number

    def _replica_channel(self, replica_id: ReplicaId) -> str:
        return f"{self._prefix}m:{replica_id}"

    # Accounts

    async def subscribe(self, account_id: AccountId) -> None:
        """While Redis is out of reach, it returns at once; `restore` subscribes later."""
        subscription = self._subscribed.get(account_id)
        if subscription is None:
            subscription = self._subscribed[account_id] = Subscription(self.now())
        elif subscription.offset is not None:
            return
        if self._link.up:
            await self._subscribe(account_id, subscription)

    async def _subscribe(self, account_id: AccountId, subscription: Subscription) -> None:
        try:
            await self._link.subscriptions.subscribe(self.envelopes.channel(account_id))
            last = await self.envelopes.last_offset(self._link.execute, account_id)
        except Unavailable:
            return  # `restore` subscribes all accounts again
        if subscription.offset is None:
            subscription.offset = last
            self._release(account_id, subscription)

    def unsubscribe(self, account_id: AccountId) -> None:
        if self._subscribed.pop(account_id, None) is not None and self._link.up:
            self._link.subscriptions.unsubscribe(self.envelopes.channel(account_id))

    def received_offset(self, account_id: AccountId) -> int | None:
        """The offset up to which this replica has received everything of an account; None if not known."""
        subscription = self._subscribed.get(account_id)
        return None if subscription is None or subscription.held_back is not None else subscription.offset

    # Receiving

    def on_push(self, channel: bytes, data: bytes) -> None:
        name = channel.decode().removeprefix(self._prefix)
        if name.startswith("e:"):
            account_id = AccountId(name[2:])
            subscription = self._subscribed.get(account_id)
            if subscription is None:
                self._not_delivered(NotDelivered.NOT_SUBSCRIBED, account_id, data.split(b" ", 2)[2])
            elif subscription.held_back is not None:
                subscription.held_back.append(data)
            else:
                self._receive(account_id, subscription, data)
        elif name.startswith("m:"):
            sender, number, _, _ = HEADER.unpack_from(data)
            if number > self._message_numbers.get(sender, 0):  # else it was sent twice
                self._message_numbers[sender] = number
                self._on_message(ReplicaId(sender.decode()), data[HEADER.size :])

    def _receive(self, account_id: AccountId, subscription: Subscription, data: bytes) -> None:
        offset_text, before_text, message = data.split(b" ", 2)
        offset, before, received = int(offset_text), int(before_text), subscription.offset or 0
        if offset <= received:
            return self._not_delivered(NotDelivered.DUPLICATE, account_id, message)
        if before > received and received:
            raise Broken("an event was missed")  # after reconnecting it is read from the history
        subscription.offset = offset
        return self._deliver(account_id, subscription, message)

    def _deliver(self, account_id: AccountId, subscription: Subscription, message: bytes) -> None:
        sender, number, at, kind = HEADER.unpack_from(message)
        if sender == self._me:
            return None
        if number <= subscription.numbers.get(sender, 0):
            return self._not_delivered(NotDelivered.DUPLICATE, account_id, message)
        subscription.numbers[sender] = number
        if kind == RESYNC:
            self._on_resync(account_id, at or None)
        elif kind == ENVELOPE or not subscription.is_older(at):
            origin = Origin(ReplicaId(sender.decode()), number, at)
            self._on_envelope(account_id, message[HEADER.size :], origin)
        else:
            self._not_delivered(NotDelivered.BEFORE_SUBSCRIPTION, account_id)
        return None

    def _release(self, account_id: AccountId, subscription: Subscription) -> None:
        held_back, subscription.held_back = subscription.held_back, None
        for data in held_back or ():
            self._receive(account_id, subscription, data)

    def _not_delivered(
        self, reason: NotDelivered, account_id: AccountId, message: bytes | None = None
    ) -> None:
        """Report it, unless this replica has published the `message`: its connections have it already."""
        if self._report is not None and (message is None or not message.startswith(self._me)):
            self._report.add(reason, account_id, None, "envelope")

    # After an outage

    async def restore(self) -> bool:
        """Catch up once Redis is connected. True for another Redis, which may lack what was confirmed."""
        execute = self._link.execute_first
        for subscription in self._subscribed.values():
            subscription.held_back = []
        await self.envelopes.load(execute)
        await self._link.subscriptions.subscribe(self._replica_channel(self.replica_id))
        lost = await self.epochs.has_changed()
        self._ahead = await clock_difference(execute)
        await self.intents.restore(self.now())
        if lost:
            await self.resync_if_late()
        done: set[AccountId] = set()
        while missing := [account_id for account_id in self._subscribed if account_id not in done][:CHUNK]:
            await self._link.subscriptions.subscribe(*map(self.envelopes.channel, missing))
            await asyncio.gather(*(self._catch_up(account_id, lost=lost) for account_id in missing))
            done.update(missing)  # more may have subscribed meanwhile
        self.resync_dropped()
        return lost

    async def _catch_up(self, account_id: AccountId, *, lost: bool) -> None:
        subscription = self._subscribed.get(account_id)
        if subscription is None:
            return
        start = 0 if lost else subscription.offset or 0
        kept = await self.envelopes.after(self._link.execute_first, account_id, start)
        complete = self._is_complete(subscription, kept, lost=lost)
        if not complete or not all(message for _, message in kept.envelopes):
            self._not_delivered(NotDelivered.HISTORY_GAP, account_id)
            self._on_resync(account_id)  # first, so that the rest does not count as received
        anew = lost or subscription.offset is None
        for offset, message in kept.envelopes:
            subscription.offset = offset
            if anew and message and subscription.precedes(message):
                self._not_delivered(NotDelivered.BEFORE_SUBSCRIPTION, account_id, message)
            elif message:
                self._deliver(account_id, subscription, message)
        subscription.offset = max(kept.last, 0 if lost else subscription.offset or 0)
        self._release(account_id, subscription)

    def _is_complete(self, subscription: Subscription, kept: HistorySlice, *, lost: bool) -> bool:
        """Whether the history reaches back to what was received last."""
        kept_for = self.envelopes.retention.seconds - MARGIN_SECONDS
        in_time = steady_time() - self._link.broke_at < kept_for
        offset = subscription.offset
        if lost or offset is None:  # other replicas repeat what Redis lost
            return in_time or lost
        if kept.last == offset:
            return True
        if kept.first == 0:  # the history has expired
            return False
        return kept.before <= offset if kept.before else in_time  # 0: nothing was published for long before

    # Another replica was killed

    async def resync_after_dead_replicas(self) -> None:
        """Resync accounts that have a publish intent of a replica which was killed.

        The resync is published, too: replicas notice one after another, and a client that one of them
        disconnects must not recover on one that has resynced its own already.
        """
        for account_id, silent_since in await self.intents.tick(self.now()):
            self._link.send_packed(self._publication(account_id, self._next(), silent_since, RESYNC))
            if account_id in self._subscribed:
                self._on_resync(account_id, silent_since)

    # Redis has lost its data

    async def resync_if_late(self) -> None:
        """Resync all accounts if another replica noticed the loss late: what it published then is gone."""
        if await self.epochs.was_noticed_late():
            for account_id in list(self._subscribed):
                self._on_resync(account_id)


def _ignore(*_: Any, **__: Any) -> None:
    """The callbacks until `listen` is called."""
