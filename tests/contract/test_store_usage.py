"""The repository of usage reports: what is summed up where they are stored."""

import json
from collections import defaultdict
from functools import partial
from typing import Any

import pytest

from happy.domain.ids import new_id
from happy.domain.ports.store import Store, Transaction
from happy.domain.usage import ReportCursor, UsageBuckets, UsagePortion, UsageRange, UsageReport
from happy.domain.values import HOUR, AccountId, Millis, SessionId
from tests.support import factories
from tests.support.factories import NOW

REPORTS: list[Any] = [
    {"tokens": {"total": 12, "input": 5}, "cost": {"total": 0.5}},
    {"tokens": {"total": 2**31, "ünü \"'": 1}, "cost": {"total": 0.25, "input": 0.125}},
    {"tokens": {"total": 0.375, "big": 2**45}, "cost": {"total": -3}},
    {"tokens": {"big": 2**45, "flag": True, "text": "7", "none": None, "list": [1], "deep": {"total": 5}}},
    {"tokens": [1, 2], "cost": 3},
    {"tokens": None, "cost": {"total": 1e300, "small": 5e-324}},
    [],
    "text",
    {"tokens": {"total": 1, "input": 2.5}},
]


async def save(store: Store, owner: AccountId, data: Any, now: int, session: SessionId | None = None) -> None:
    report = UsageReport(new_id(Millis(now)), session, json.dumps(data))
    await store.write(lambda tx: tx.usage.save(owner, new_id(Millis(now)), report, Millis(now)))


async def sums(
    store: Store,
    owner: AccountId,
    since: int = 0,
    until: int = 2 * NOW,
    session: SessionId | None = None,
) -> list[tuple[int, dict[str, float], dict[str, float], int]]:
    buckets = UsageBuckets()
    after: ReportCursor | None = ReportCursor(Millis(since), "")
    while after is not None:
        wanted = UsageRange(session, after, Millis(until), HOUR)
        portion = await store.read(partial(_portion, owner, wanted))
        buckets.add(portion)
        after = portion.last
    return [(one.timestamp, one.tokens, one.cost, one.report_count) for one in buckets.in_order()]


async def _portion(owner: AccountId, wanted: UsageRange, tx: Transaction) -> UsagePortion:
    return await tx.usage.portion(owner, wanted)


def added_up(reports: list[tuple[int, Any]]) -> list[tuple[int, dict[str, float], dict[str, float], int]]:
    """The same in Python, one report after the other."""
    buckets: dict[int, list[Any]] = defaultdict(list)
    for created, data in reports:
        buckets[created // HOUR * HOUR // 1000].append(data if isinstance(data, dict) else {})
    in_order = sorted(buckets.items())
    return [(start, _sums(data, "tokens"), _sums(data, "cost"), len(data)) for start, data in in_order]


def _sums(reports: list[Any], part: str) -> dict[str, float]:
    found: dict[str, float] = defaultdict(int)
    for report in reports:
        named = report.get(part)
        for name, value in named.items() if isinstance(named, dict) else ():
            if isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e290:
                found[name] += value
    return dict(found)


@pytest.mark.parametrize("portion", [1, 2, 4, 1_000])
async def test_sums_are_what_adding_up_gives(
    store: Store, portion: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.adapters.sql.usage.PORTION", portion)
    owner, other = await factories.account(store), await factories.account(store)
    reports = [(NOW + number // 2 * (HOUR // 2), data) for number, data in enumerate(REPORTS)]
    for created, data in reports:
        await save(store, owner, data, created)
    await save(store, other, REPORTS[0], NOW)

    assert added_up(reports) == await sums(store, owner)


async def test_sums_are_of_the_time_both_ends_included_and_of_a_session(store: Store) -> None:
    owner = await factories.account(store)
    session = (await factories.session(store, owner)).id
    for created in range(NOW, NOW + 4):
        await save(store, owner, {"tokens": {"total": created - NOW}}, created, session)
    await save(store, owner, {"tokens": {"total": 100}}, NOW + 1)

    (bucket,) = await sums(store, owner, NOW + 1, NOW + 2, session)
    assert ({"total": 3}, 2) == (bucket[1], bucket[3])
    assert {"total": 103} == (await sums(store, owner, NOW + 1, NOW + 2))[0][1]
    assert [] == await sums(store, owner, NOW + 4, NOW + 9)


async def test_sums_of_integers_are_integers_and_have_room(store: Store) -> None:
    owner = await factories.account(store)
    for number in range(4):
        await save(
            store, owner, {"tokens": {"total": 5, "most": 2**62}, "cost": {"total": 1e308}}, NOW + number
        )

    ((_, tokens, cost, count),) = await sums(store, owner)
    assert ("20", 4, {}) == (json.dumps(tokens["total"]), count, cost)
    assert 2**64 == pytest.approx(tokens["most"])


async def test_a_report_too_large_for_any_client_is_counted_and_not_read(store: Store) -> None:
    owner = await factories.account(store)
    await save(store, owner, {"tokens": {f"name {number}": 1 for number in range(20_000)}}, NOW)
    await save(store, owner, {"tokens": {"total": 1}}, NOW)

    ((_, tokens, _, count),) = await sums(store, owner)
    assert ({"total": 1}, 2) == (tokens, count)
