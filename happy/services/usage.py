"""Stores usage reports of sessions, and sums them up.

protocol: http#post-v1usagequery, realtime#usage-reports
"""

from collections.abc import Mapping
from functools import partial

import msgspec
from msgspec.structs import replace

from happy.domain.errors import NotFound
from happy.domain.events import TO_USER, Usage
from happy.domain.ids import new_id
from happy.domain.ports.clock import Clock
from happy.domain.ports.events import EventSink
from happy.domain.ports.store import Store, Transaction
from happy.domain.usage import (
    LENGTHS,
    Grouping,
    ReportCursor,
    SavedReport,
    UsageBucket,
    UsageBuckets,
    UsagePortion,
    UsageRange,
    UsageReport,
)
from happy.domain.values import AccountId, Millis, SessionId


class UsageService:
    def __init__(self, store: Store, sink: EventSink, clock: Clock) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock

    async def report(
        self,
        account_id: AccountId,
        session_id: SessionId | None,
        key: str,
        tokens: Mapping[str, float],
        cost: Mapping[str, float],
    ) -> SavedReport:
        """Store the figures, replacing earlier ones with this key. Raises NotFound for a foreign session."""
        now = self._clock()
        data = msgspec.json.encode({"tokens": tokens, "cost": cost}).decode()
        report = UsageReport(key, session_id, data)

        async def save(tx: Transaction) -> SavedReport:
            await _require_session(tx, account_id, session_id)
            return await tx.usage.save(account_id, new_id(now), report, now)

        saved = await self._store.write(save)
        if session_id is not None:
            event = Usage(session_id, key, dict(tokens), dict(cost), now)
            self._sink.publish(account_id, event, TO_USER)
        return saved

    async def sums(
        self,
        account_id: AccountId,
        session_id: SessionId | None,
        since: Millis,
        until: Millis,
        grouping: Grouping,
    ) -> list[UsageBucket]:
        """Sums of the reports created from `since` to `until`. Raises NotFound for a foreign session."""
        wanted = UsageRange(session_id, ReportCursor(since, ""), until, LENGTHS[grouping])
        buckets = UsageBuckets()
        while True:
            portion = await self._store.read(partial(_next_portion, account_id, wanted))
            buckets.add(portion)
            if portion.last is None:
                return buckets.in_order()
            wanted = replace(wanted, after=portion.last)


async def _next_portion(account_id: AccountId, wanted: UsageRange, tx: Transaction) -> UsagePortion:
    await _require_session(tx, account_id, wanted.session_id)
    return await tx.usage.portion(account_id, wanted)


async def _require_session(tx: Transaction, account_id: AccountId, session_id: SessionId | None) -> None:
    if session_id is not None and await tx.sessions.get(account_id, session_id) is None:
        raise NotFound("Session not found")
