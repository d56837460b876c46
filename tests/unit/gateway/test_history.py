"""What is kept for clients that lost their connection, for how long, and within which bounds."""

from typing import Any

import pytest

from happy.domain.events import TO_USER, Audience, Scope, to_machine, to_session
from happy.domain.values import AccountId, ConnectionId, MachineId, SessionId
from happy.gateway.recovery.history import (
    Event,
    History,
    RecoveryCursor,
    offset_of,
)
from happy.gateway.recovery.limits import MAX_EVENTS, HistoryLimits

OWNER, OTHER = AccountId("owner"), AccountId("other")
PHONE = ConnectionId("phone")


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def history_of(clock: Clock, **limits: Any) -> History:
    return History(HistoryLimits(**limits), clock)


def add(
    history: History,
    *names: str,
    owner: AccountId = OWNER,
    audience: Audience = TO_USER,
    skip: ConnectionId | None = None,
) -> list[bytes]:
    return [history.append(owner, Event(audience, skip, "update", f'"{name}"'.encode())) for name in names]


MESSAGE = b'{"id":"u","seq":1,"body":{"t":"new-message","sid":"s"}}'
RENAMED = b'{"id":"u","seq":2,"body":{"t":"update-session","id":"\\"body\\":{\\"t\\":\\"new-message\\""}}'


def reader(
    position: int = 0, last_acknowledged: float = 0.0, scope: Scope = "user", target: str = ""
) -> RecoveryCursor:
    return RecoveryCursor(OWNER, PHONE, scope, target, position, last_acknowledged)


def test_a_packet_ends_with_its_offset(clock: Clock) -> None:
    history = history_of(clock)
    (packet,) = add(history, "a")

    assert packet == f'42["update","a","{offset_of(packet)}"]'.encode()
    assert history.number(offset_of(packet)) == history.newest_number == 1


@pytest.mark.parametrize("offset", ["", ".", "1", "x.1", ".1", "²", "9" * 100])
def test_an_invalid_offset_is_ignored(clock: Clock, offset: str) -> None:
    assert history_of(clock).number(offset) is None


def test_an_offset_of_another_process_is_ignored(clock: Clock) -> None:
    history = history_of(clock)
    own = offset_of(add(history, "a")[0])

    assert history_of(clock).number(own) is None
    assert history.number(own.rpartition(".")[0] + "." + "9" * 100) is None
    assert history.number(own.rpartition(".")[0] + ".²") is None


def test_what_came_after_the_position_is_missed_in_order(clock: Clock) -> None:
    history = history_of(clock)
    packets = add(history, "a", "b", "c")

    assert [history.missed(reader(position)) for position in range(4)] == [
        packets,
        packets[1:],
        packets[2:],
        [],
    ]


def test_who_reads_messages_by_itself_misses_only_the_rest(clock: Clock) -> None:
    history = history_of(clock)
    _, renamed = [history.append(OWNER, Event(TO_USER, None, "update", body)) for body in (MESSAGE, RENAMED)]

    assert history.missed(reader()._replace(reads_messages=True)) == [renamed]


def test_everyone_misses_only_what_was_meant_for_them(clock: Clock) -> None:
    history = history_of(clock)
    (user,) = add(history, "user")
    (session,) = add(history, "session", audience=to_session(SessionId("s")))
    (machine,) = add(history, "machine", audience=to_machine(MachineId("m")))
    add(history, "own", skip=PHONE)
    (others,) = add(history, "of another", skip=ConnectionId("laptop"))
    add(history, "stranger", owner=OTHER)

    assert history.missed(reader()) == [user, session, machine, others]
    assert history.missed(reader(scope="session", target="s")) == [session]
    assert history.missed(reader(scope="machine", target="m")) == [machine]
    assert history.missed(reader(scope="session", target="m")) == []


def test_an_account_without_events_has_missed_nothing(clock: Clock) -> None:
    assert history_of(clock).missed(reader()) == []


def test_beyond_the_bound_of_an_account_nobody_is_given_a_part(clock: Clock) -> None:
    history = history_of(clock, account_bytes=2_000)
    packets = add(history, *(str(number) for number in range(20)))
    kept = next(position for position in range(21) if history.missed(reader(position)) is not None)

    assert history.size <= 2_000
    assert 0 < kept < 20
    assert history.missed(reader(kept)) == packets[kept:]
    assert history.missed(reader(kept - 1)) is None


def test_the_number_of_events_is_bounded_too(clock: Clock) -> None:
    history = history_of(clock, account_bytes=10**9)
    add(history, *map(str, range(MAX_EVENTS + 1)))

    assert history.missed(reader(0)) is None
    assert len(history.missed(reader(1)) or ()) == MAX_EVENTS


def test_an_event_larger_than_the_bound_is_sent_but_not_kept(clock: Clock) -> None:
    history = history_of(clock, account_bytes=1_000)
    (packet,) = add(history, "x" * 2_000)

    assert b"x" * 2_000 in packet
    assert history.size == 0
    assert history.missed(reader(0)) is None
    assert history.missed(reader(1)) == []


def test_the_quietest_account_makes_room(clock: Clock) -> None:
    history = history_of(clock, account_bytes=3_000, total_bytes=5_000)
    add(history, *"abcdefg", owner=OTHER)
    packets = add(history, *"abcdefg")
    for number in range(200):
        add(history, "x" * 200, owner=AccountId(f"more-{number % 3}"))
        assert history.size <= 5_000

    assert packets
    assert history.missed(reader(7)) is None
    assert history.missed(reader(14)) == []


def test_events_grow_old_in_every_account(clock: Clock) -> None:
    history = history_of(clock, keep_seconds=60)
    add(history, "old")
    clock.now += 61
    add(history, "new", owner=OTHER)

    assert history.missed(reader(0)) is None
    assert history.missed(reader(1)) == []
    history.forget(OTHER)
    assert history.size == 0


def test_what_is_confirmed_is_not_missed_however_old_the_last_offset_is(clock: Clock) -> None:
    """A session receives nothing for hours while its user does: it has missed nothing all the same."""
    history = history_of(clock, keep_seconds=60)
    for _ in range(100):
        add(history, "busy")
        clock.now += 10
    clock.now += 0.5
    last_acknowledged = clock.now - 30
    packets = add(history, "new")

    assert history.missed(reader(3)) is None
    missed = history.missed(reader(3, last_acknowledged))
    assert missed is not None
    assert missed[-1:] == packets
    assert len(missed) == 2 + 1  # of the last thirty seconds, and the new one


def test_after_an_interruption_nobody_from_before_is_given_anything(clock: Clock) -> None:
    history = history_of(clock)
    add(history, "a")
    history.resync(OWNER)
    position = history.newest_number
    packets = add(history, "b")

    assert history.missed(reader(1)) is None
    assert history.missed(reader(position)) == packets


def test_a_forgotten_account_costs_nothing(clock: Clock) -> None:
    history = history_of(clock)
    add(history, "a", "b")
    history.forget(OWNER)
    history.forget(OWNER)

    assert history.size == 0
    assert history.missed(reader()) == []
