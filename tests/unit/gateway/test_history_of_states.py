"""What is kept of events that tell of a state: the last one of each, within the bounds of all others."""

import msgspec
import pytest

from happy.domain.events import (
    TO_USER,
    Ephemeral,
    MachineActivity,
    SessionActivity,
    SessionEvent,
    Usage,
    to_session,
)
from happy.domain.values import AccountId, ConnectionId, MachineId, SessionId
from happy.gateway.recovery import replay
from happy.gateway.recovery.history import (
    Event,
    History,
    RecoveryCursor,
    offset_of,
)
from happy.gateway.recovery.limits import MAX_STATES, HistoryLimits
from tests.support.factories import NOW
from tests.unit.gateway.test_history import OWNER, Clock, add, clock, history_of, reader

__all__ = ["clock"]

HAPPENED = SessionEvent(SessionId("s"), "done", "title", "body", NOW)


def activity(session: str, *, active: bool = True, thinking: bool = False) -> SessionActivity:
    return SessionActivity(SessionId(session), active=active, active_at=NOW, thinking=thinking)


def append(history: History, event: Ephemeral, stream_id: str = "") -> bytes:
    return history.append(OWNER, Event(TO_USER, None, "ephemeral", msgspec.json.encode(event)), stream_id)


def beat(history: History, *sessions: str) -> list[bytes]:
    return [append(history, activity(session)) for session in sessions]


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (activity('s,"1'), ("activity", 's,"1', "")),
        (MachineActivity(MachineId("m"), active=False, active_at=NOW), ("machine-activity", "m", "")),
        (Usage(SessionId("s"), "key", {"total": 1}, {"total": 1}, NOW), ("usage", "s", "key")),
        (HAPPENED, None),
    ],
)
def test_an_ephemeral_is_a_state_or_an_event(event: Ephemeral, state: replay.State | None) -> None:
    assert replay.state_of("ephemeral", msgspec.json.encode(event)) == state


def test_every_kind_of_ephemeral_is_decided() -> None:
    kinds = {kind.__struct_config__.tag for kind in Ephemeral.__subclasses__()}
    assert kinds - replay.STATES == {"session-event"}
    assert replay.state_of("update", b'{"type":"activity"}') is None


def test_only_the_last_event_of_a_state_is_missed_where_it_was_among_the_others(clock: Clock) -> None:
    history = history_of(clock)
    append(history, activity("a", thinking=True))
    (first,) = add(history, "first")
    (other,) = beat(history, "b")
    (second,) = add(history, "second")
    ended = append(history, activity("a", active=False))
    happened = [append(history, HAPPENED) for _ in range(2)]

    assert history.missed(reader()) == [first, other, second, ended, *happened]
    assert history.missed(reader(history.number(offset_of(second)) or 0)) == [ended, *happened]


def test_states_have_no_offset_and_what_happened_has(clock: Clock) -> None:
    history = history_of(clock)
    assert append(history, activity("a")).startswith(b'42["ephemeral",{"type":"activity"')
    assert append(history, activity("a")).endswith(b"}]")
    assert history.number(offset_of(append(history, HAPPENED))) == history.newest_number == 3


def test_a_state_that_was_confirmed_is_not_missed(clock: Clock) -> None:
    history = history_of(clock)
    beat(history, "a")
    clock.now += 10
    (missed,) = beat(history, "b")

    assert history.missed(reader(0, clock.now - 5)) == [missed]


def test_states_are_for_their_audience(clock: Clock) -> None:
    history = history_of(clock)
    payload = msgspec.json.encode(activity("s"))
    packet = history.append(OWNER, Event(to_session(SessionId("s")), None, "ephemeral", payload))

    assert history.missed(reader(scope="session", target="other")) == []
    assert history.missed(reader(scope="session", target="s")) == [packet]


def test_a_thousand_heartbeats_take_the_room_of_one(clock: Clock) -> None:
    history = history_of(clock)
    beat(history, "a")
    size = history.size
    for _ in range(1_000):
        beat(history, "a")
        clock.now += 2

    assert history.size == size
    assert len(history.missed(reader()) or ()) == 1


def test_beyond_the_number_of_states_nobody_is_given_a_part(clock: Clock) -> None:
    history = history_of(clock, account_bytes=10**9)
    add(history, "before")
    beat(history, *map(str, range(MAX_STATES)))
    assert len(history.missed(reader()) or ()) == MAX_STATES + 1
    beat(history, "one more")

    assert history.missed(reader(1)) is None
    assert len(history.missed(reader(2)) or ()) == MAX_STATES


def test_states_count_among_the_bytes_of_an_account_and_go_with_the_oldest(clock: Clock) -> None:
    history = history_of(clock, account_bytes=3_000)
    beat(history, "a")
    packets = add(history, *"bcdef")
    while history.missed(reader()) is not None:
        packets += add(history, "x" * 200)
        assert history.size <= 3_000

    assert history.missed(reader(1)) == packets
    history.forget(OWNER)
    assert history.size == 0


def test_states_that_shrink_and_grow_are_counted(clock: Clock) -> None:
    history = history_of(clock)
    figures: dict[str, float] = {}
    for length in (1, 500, 3):
        figures = {"total": 1.0, "x" * length: 1.0}
        append(history, Usage(SessionId("s"), "key", figures, figures, NOW))
    only = history.size
    history.forget(OWNER)
    append(history, Usage(SessionId("s"), "key", figures, figures, NOW))

    assert history.size == only


def test_states_grow_old(clock: Clock) -> None:
    history = history_of(clock, keep_seconds=60)
    beat(history, "ended long ago")
    clock.now += 61
    (packet,) = beat(history, "new")

    assert history.missed(reader(1)) == [packet]
    assert history.missed(reader(0)) is None


def test_an_account_with_states_alone_makes_room_for_others(clock: Clock) -> None:
    history = history_of(clock, total_bytes=2_000)
    beat(history, "a")
    for _ in range(10):
        add(history, "x" * 200, owner=AccountId("other"))
        assert history.size <= 2_000

    assert history.missed(reader(0)) is None
    assert history.missed(RecoveryCursor(AccountId("nobody"), ConnectionId("c"), "user", "", 0, 0.0)) == []


def test_a_history_gap_drops_all_states(clock: Clock) -> None:
    history = history_of(clock)
    beat(history, "a")
    history.resync(OWNER)

    assert history.missed(reader(1)) is None
    assert history.missed(reader(history.newest_number)) == []


class TestPositionBeforeATime:
    def test_it_is_none_if_nothing_was_appended_since(self, clock: Clock) -> None:
        history = history_of(clock)
        append(history, activity("a"), "e.1")
        assert history.position_before(OWNER, clock.now + 1) is None

    def test_states_appended_since_are_not_counted(self, clock: Clock) -> None:
        """Otherwise another replica would leave them out."""
        history = history_of(clock)
        append(history, activity("a"), "e.1")
        clock.now += 10
        append(history, activity("a"), "e.2")
        assert history.position_before(OWNER, clock.now - 5) == "e.1"
        assert history.position_before(OWNER, clock.now - 50) == ""

    def test_it_is_that_of_the_last_update_or_state(self, clock: Clock) -> None:
        history = History(HistoryLimits(), clock)
        append(history, activity("a"), "e.1")
        clock.now += 1
        history.append(OWNER, Event(TO_USER, None, "update", b"{}"), "e.2")
        clock.now += 10
        append(history, activity("a"), "e.3")
        moment = clock.now

        assert history.position_before(OWNER, moment - 5) == "e.2"
        assert history.position_before(OWNER, moment - 10.5) == "e.1"
        clock.now += 1
        append(history, activity("a"), "e.4")
        assert history.position_before(OWNER, moment + 0.5) == "e.3"

    def test_is_noted_now_and_then_and_for_a_while(self, clock: Clock) -> None:
        history = history_of(clock, keep_seconds=60)
        began = clock.now
        for number in range(500):
            append(history, activity("a"), f"e.{number:x}")
            clock.now += 1

        assert history.position_before(OWNER, began + 10) == ""
        assert history.position_before(OWNER, clock.now - 30) in {
            f"e.{number:x}" for number in range(464, 471)
        }
