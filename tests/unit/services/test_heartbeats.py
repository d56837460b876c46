"""What is remembered of heartbeats, and which of them are worth writing down.

protocol: realtime#heartbeat-persistence
"""

from asyncio import Event

import pytest

from happy.domain.values import AccountId, Millis
from happy.services.heartbeats import Beat, Heartbeats, LastSeen
from tests.support.factories import NOW
from tests.unit.services.world import Clock

OWNER = AccountId("owner")


class Rows:
    """The stored rows, and how often they were looked at."""

    def __init__(self, **rows: LastSeen) -> None:
        self.stored = rows
        self.loads = 0

    async def load(self, account_id: AccountId, target: str) -> LastSeen | None:
        self.loads += 1
        return self.stored.get(target) if account_id == OWNER else None


@pytest.fixture
def clock() -> Clock:
    return Clock()


def make(clock: Clock, *, active: bool = True, last: int = 0) -> tuple[Heartbeats, Rows]:
    rows = Rows(x=(Millis(NOW + last), active))
    return Heartbeats(rows.load, clock), rows


def taken(heartbeats: Heartbeats) -> list[tuple[str, str, int]]:
    return [(beat.account_id, beat.target, beat.at) for beat in heartbeats.take()]


async def test_an_unknown_or_foreign_row_has_no_heartbeat(clock: Clock) -> None:
    heartbeats, _ = make(clock)

    assert None is await heartbeats.beat(OWNER, "unknown", NOW)
    assert None is await heartbeats.beat(AccountId("stranger"), "x", NOW)
    assert [] == taken(heartbeats)


async def test_a_row_is_looked_up_once_in_thirty_seconds(clock: Clock) -> None:
    heartbeats, rows = make(clock)
    for _ in range(4):
        await heartbeats.beat(OWNER, "x", clock.now)
        clock.advance(seconds=10)

    assert 2 == rows.loads  # at 0 and at 30 seconds


@pytest.mark.parametrize(
    ("active", "after", "written"),
    [
        (True, 0, False),
        (True, 30_000, False),
        (True, 30_001, True),
        (True, -30_001, False),  # docs/defects.md E2: the last active time moved backwards
        (False, 0, True),  # docs/defects.md E1: inactive for half a minute after a restart
        (False, 1, True),
    ],
)
async def test_a_heartbeat_worth_storing_is_queued(
    clock: Clock, active: bool, after: int, written: bool
) -> None:
    heartbeats, _ = make(clock, active=active)
    clock.advance(minutes=2)
    at = Millis(NOW + after)

    assert at == await heartbeats.beat(OWNER, "x", at)
    assert ([(OWNER, "x", at)] if written else []) == taken(heartbeats)


async def test_the_latest_of_several_heartbeats_is_written(clock: Clock) -> None:
    heartbeats, _ = make(clock)
    now = clock.advance(minutes=5)
    for back in (2_000, 0, 4_000):
        await heartbeats.beat(OWNER, "x", Millis(now - back))

    assert [(OWNER, "x", now)] == taken(heartbeats)
    assert [] == taken(heartbeats)


async def test_after_a_write_the_next_one_is_thirty_seconds_away(clock: Clock) -> None:
    heartbeats, _ = make(clock, active=False)
    await heartbeats.beat(OWNER, "x", clock.advance(seconds=1))
    heartbeats.written(heartbeats.take())
    await heartbeats.beat(OWNER, "x", clock.advance(seconds=28))

    assert [] == taken(heartbeats)


async def test_a_heartbeat_has_the_time_of_its_receipt_whatever_the_clients_clock(clock: Clock) -> None:
    heartbeats, _ = make(clock, active=False)
    clock.advance(seconds=5)
    for at in (NOW - 4_000, NOW - 5_000):
        await heartbeats.beat(OWNER, "x", Millis(at))

    assert [Beat(OWNER, "x", Millis(NOW - 4_000), clock.now)] == heartbeats.take()


async def test_e4_a_second_lookup_dropped_a_queued_heartbeat(clock: Clock) -> None:
    heartbeats, rows = make(clock)
    at = clock.advance(seconds=31)
    await heartbeats.beat(OWNER, "x", at)
    clock.advance(seconds=31)
    await heartbeats.beat(OWNER, "x", at)

    assert 2 == rows.loads
    assert [(OWNER, "x", at)] == taken(heartbeats)


async def test_e4_heartbeats_that_could_not_be_stored_were_lost(clock: Clock) -> None:
    heartbeats, _ = make(clock)
    first = clock.advance(minutes=1)
    await heartbeats.beat(OWNER, "x", first)
    heartbeats.restore(heartbeats.take())

    assert [(OWNER, "x", first)] == taken(heartbeats)


async def test_a_restored_heartbeat_does_not_replace_a_newer_one(clock: Clock) -> None:
    heartbeats, _ = make(clock)
    await heartbeats.beat(OWNER, "x", clock.advance(minutes=1))
    unwritten = heartbeats.take()
    newer = clock.advance(seconds=2)
    await heartbeats.beat(OWNER, "x", newer)
    heartbeats.restore(unwritten)

    assert [(OWNER, "x", newer)] == taken(heartbeats)


async def test_a_forgotten_row_is_looked_up_again_and_stores_nothing(clock: Clock) -> None:
    heartbeats, rows = make(clock, active=False)
    await heartbeats.beat(OWNER, "x", clock.now)
    heartbeats.forget(OWNER, "x")
    del rows.stored["x"]

    assert [] == taken(heartbeats)
    assert None is await heartbeats.beat(OWNER, "x", clock.now)


async def test_an_invalidated_row_is_looked_up_again_and_still_stored(clock: Clock) -> None:
    heartbeats, rows = make(clock, active=False)
    await heartbeats.beat(OWNER, "x", clock.now)
    heartbeats.invalidate(OWNER, "x")
    await heartbeats.beat(OWNER, "x", clock.now)

    assert 2 == rows.loads
    assert [(OWNER, "x", NOW)] == taken(heartbeats)


async def test_a_row_invalidated_during_its_lookup_is_looked_up_again(clock: Clock) -> None:
    rows = Rows(x=(NOW, True))

    async def load(account_id: AccountId, target: str) -> LastSeen | None:
        stored = await rows.load(account_id, target)
        if rows.loads == 1:
            heartbeats.invalidate(account_id, target)
        return stored

    heartbeats = Heartbeats(load, clock)
    for _ in range(3):
        await heartbeats.beat(OWNER, "x", clock.now)

    assert 2 == rows.loads


async def test_the_last_heartbeat_can_be_queued_however_new_it_is(clock: Clock) -> None:
    heartbeats, _ = make(clock)
    clock.advance(seconds=2)
    for target in ("x", "unknown"):
        await heartbeats.beat(OWNER, target, clock.now)
    usually = taken(heartbeats)
    for target in ("x", "unknown", "never looked at"):
        heartbeats.queue_last(OWNER, target)

    assert [] == usually
    assert [(OWNER, "x", NOW + 2_000)] == taken(heartbeats)


async def test_an_inactive_row_signals_its_first_heartbeat_once_until_it_is_stored(clock: Clock) -> None:
    revived = Event()
    heartbeats = Heartbeats(Rows(x=(NOW, False)).load, clock, revived=revived)
    came_back = []
    for _ in range(3):
        await heartbeats.beat(OWNER, "x", clock.advance(seconds=2))
        came_back.append(revived.is_set())
        revived.clear()
        if len(came_back) > 1:
            heartbeats.written(heartbeats.take())

    assert [True, False, False] == came_back


async def test_a_purge_evicts_only_expired_rows(clock: Clock) -> None:
    heartbeats, rows = make(clock)
    rows.stored["y"] = (NOW, True)
    await heartbeats.beat(OWNER, "x", clock.now)
    await heartbeats.beat(OWNER, "y", clock.advance(seconds=20))
    clock.advance(seconds=15)
    heartbeats.purge()

    assert [(OWNER, "y")] == list(heartbeats._known)


async def test_a_clock_that_is_set_back_keeps_no_row_cached_for_long(clock: Clock) -> None:
    heartbeats, rows = make(clock)
    await heartbeats.beat(OWNER, "x", clock.now)
    clock.advance(minutes=-90)
    await heartbeats.beat(OWNER, "x", clock.now)
    assert 2 == rows.loads  # what was known until then is not believed for 90 minutes more

    beats = heartbeats.take()
    assert [clock.now] == [beat.at for beat in beats]  # though the stored time is later
    heartbeats.written(beats)
    clock.advance(seconds=10)
    await heartbeats.beat(OWNER, "x", clock.now)
    assert [] == heartbeats.take()
    clock.advance(minutes=-5)
    heartbeats.purge()
    await heartbeats.beat(OWNER, "x", clock.now)
    assert 3 == rows.loads
