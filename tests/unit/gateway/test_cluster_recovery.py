"""Recovery on another replica: shared history and live events meet without duplicates or losses."""

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from happy.domain.errors import Unavailable
from happy.domain.events import TO_USER, Audience, Ephemeral, SessionActivity, SessionEvent, to_session
from happy.domain.ports.cluster import Origin, StoredEnvelope
from happy.domain.ports.delivery import NotDelivered
from happy.domain.stream_position import StreamPosition
from happy.domain.values import AccountId, ConnectionId, ReplicaId, SessionId
from happy.gateway import envelope
from happy.gateway.delivery import RecoveryRefused
from happy.gateway.envelope import Envelope
from happy.gateway.handshake import Handshake
from happy.gateway.recovery import cluster as cluster_recovery
from happy.gateway.recovery.cluster import ClusterRecovery, DisconnectRecord
from happy.gateway.recovery.history import Event, History, offset_of
from happy.gateway.recovery.limits import HistoryLimits
from happy.gateway.recovery.recovery import Recovery
from happy.gateway.recovery.session import RecoverableSession
from tests.support.factories import NOW

OWNER, PHONE = AccountId("owner"), ConnectionId("phone")
HERE, THERE = ReplicaId("0a" * 8), ReplicaId("0b" * 8)
NOTHING: Callable[[], None] = lambda: None  # noqa: E731 - what is done by default


class FakeShared:
    """Implements `SharedHistory`; things may happen while it is handshake."""

    def __init__(self) -> None:
        self.offset = 0
        self.kept: list[StoredEnvelope] | None = []
        self.notes: dict[ConnectionId, bytes] = {}
        self.before_ending = self.before_answer = NOTHING
        self.up = True

    def position(self, account_id: AccountId) -> StreamPosition | None:
        assert account_id == OWNER
        return StreamPosition("1f", self.offset, {HERE: 0}) if self.up else None

    def now(self) -> int:
        return 10_000

    def position_text(self, account_id: AccountId) -> str:
        position = self.position(account_id)
        return position.text() if position else ""

    async def since(
        self, account_id: AccountId, position: StreamPosition, *, unbroken: bool
    ) -> list[StoredEnvelope] | None:
        assert (account_id, unbroken) == (OWNER, True)
        answer = self.kept and [event for event in self.kept if event.offset > position.offset]
        self.before_answer()
        return answer

    def save_disconnect(self, connection_id: ConnectionId, record: bytes) -> None:
        self.notes[connection_id] = record

    def delete_disconnect(self, connection_id: ConnectionId) -> None:
        self.notes.pop(connection_id, None)

    async def load_disconnect(self, connection_id: ConnectionId) -> bytes | None:
        self.before_ending()
        if not self.up:
            raise Unavailable("away")
        return self.notes.get(connection_id)


class World:
    """One account on two replicas. The client was connected to the first and reconnects to the second."""

    def __init__(self) -> None:
        self.shared = FakeShared()
        self.now = 1_000.0
        self.at = 0
        self.refused: RecoveryRefused | None = None
        self.before = self._recovery()
        self.after = self._recovery()

    def _recovery(self, key: bytes = b"key", *previous_keys: bytes) -> Recovery:
        others = ClusterRecovery(self.shared, key, 120, lambda: self.now, previous_keys=previous_keys)
        return Recovery(History(HistoryLimits()), 120, cluster=others)

    def handshake(self, pid: str = "", offset: str = "") -> Handshake:
        return Handshake(
            "token",
            "user",
            "",
            explicit_user=True,
            foreground=False,
            client="",
            recovery_token=pid,
            offset=offset,
        )

    def begin(self) -> RecoverableSession:
        return self.before.begin(OWNER, PHONE, self.handshake(), NOTHING)

    def publish(self, name: str, number: int, audience: Audience = TO_USER) -> None:
        """By the first replica; the second one receives it."""
        self._publish("update", f'"{name}"'.encode(), number, audience)

    def announce(self, event: Ephemeral, number: int, sender: ReplicaId = THERE) -> None:
        self._publish("ephemeral", msgspec.json.encode(event), number, TO_USER, sender)

    def _publish(
        self, kind: str, payload: bytes, number: int, audience: Audience, sender: ReplicaId = THERE
    ) -> None:
        self.shared.offset += 1
        origin = Origin(sender, number, self.at)
        assert self.shared.kept is not None
        raw = b"".join(envelope.encode(Envelope(audience, None, kind, payload)))
        self.shared.kept.append(StoredEnvelope(self.shared.offset, origin, raw, ahead=False))
        if self.after.awaits(OWNER):
            self.after.record(OWNER, Event(audience, None, kind, payload, origin))

    async def come(self, pid: str, offset: str = "") -> list[str] | None:
        try:
            session = await self.after.claim(OWNER, self.handshake(pid, offset), NOTHING)
        except RecoveryRefused as refused:
            self.refused = refused
            return None
        packets = self.after.resume(session, self.handshake(pid, offset))
        return [_name(msgspec.json.decode(packet[2:])[1]) for packet in packets]


def _name(payload: Any) -> str:
    """Of an update as these tests make them, and of an ephemeral what it says."""
    if isinstance(payload, str):
        return payload
    return " ".join(str(value) for key, value in payload.items() if key not in {"type", "activeAt"})


def activity(session: str, *, active: bool = True, thinking: bool = False) -> SessionActivity:
    return SessionActivity(SessionId(session), active=active, active_at=NOW, thinking=thinking)


@pytest.fixture
def world() -> World:
    return World()


async def test_events_during_a_restore_are_replayed_once(world: World) -> None:
    pid = world.begin().recovery_token
    world.publish("1", 1)
    world.shared.before_ending = lambda: world.publish("2", 2)
    world.shared.before_answer = lambda: world.publish("3", 3)

    assert ["1", "2", "3"] == await world.come(pid)
    assert not world.after.awaits(OWNER)


@pytest.mark.parametrize(("previous", "recovered"), [((b"older", b"key"), ["1"]), ((b"older",), None)])
async def test_a_client_that_left_before_the_secret_was_replaced_is_recovered(
    world: World, previous: tuple[bytes, ...], recovered: list[str] | None
) -> None:
    pid = world.begin().recovery_token
    world.publish("1", 1)
    world.after = world._recovery(b"a new key", *previous)

    assert recovered == await world.come(pid)


async def test_a_late_event_that_the_other_replica_delivered_is_not_replayed(
    world: World,
) -> None:
    pid = world.begin().recovery_token
    world.publish("1", 1)
    offset = f"aa.1-1f.1.{THERE}.2"

    def late() -> None:
        world.publish("2", 2)
        world.publish("3", 3)

    world.shared.before_answer = late

    assert ["3"] == await world.come(pid, offset)


async def test_nor_when_it_arrives_after_a_second_loss(world: World) -> None:
    handshake = world.handshake(world.begin().recovery_token, f"aa.1-1f.0.{THERE}.2")
    session = await world.after.claim(OWNER, handshake, NOTHING)
    assert [] == world.after.resume(session, handshake)
    packet = world.after.record(OWNER, Event(TO_USER, None, "update", b'"own"'))
    world.after.lost(session, 0.0)
    session.release()
    world.publish("2", 2)
    world.publish("3", 3)

    assert ["3"] == await world.come(session.recovery_token, offset_of(packet))


async def test_an_offset_from_before_a_restore_does_not_cover_its_replay(world: World) -> None:
    """It was here, moved to another replica and back, and lost its connection before it had read anything."""
    world.shared.before_answer = NOTHING
    pid = world.begin().recovery_token
    here = world.after.begin(OWNER, ConnectionId("another"), world.handshake(), NOTHING)
    world.after.lost(here, 0.0)  # somebody is waited for, so events are kept here
    world.publish("1", 1)
    old = offset_of(world.after.record(OWNER, Event(TO_USER, None, "update", b'"own"')))
    world.publish("2", 2)
    world.publish("3", 3)
    for _ in range(3):
        session = await world.after.claim(OWNER, world.handshake(pid, old), NOTHING)
        packets = world.after.resume(session, world.handshake(pid, old))
        assert ["2", "3"] == [packet.decode().split('"')[3] for packet in packets]
        world.after.lost(session, 0.0)
        session.release()


async def test_an_offset_without_a_position_is_not_guessed_at(world: World) -> None:
    pid = world.begin().recovery_token
    world.publish("1", 1)

    assert await world.come(pid, "aa.1") is None
    assert ["1"] == await world.come(pid)


async def test_signals_and_what_is_for_others_are_left_out(world: World) -> None:
    pid = world.begin().recovery_token
    world.publish("1", 1)
    world.publish("2", 2, to_session(SessionId("s")))
    assert world.shared.kept is not None
    world.shared.kept.append(
        StoredEnvelope(2, Origin(THERE, 3, 0), envelope.encode_signal("kind", "text"), ahead=False)
    )

    assert ["1", "2"] == await world.come(pid)


async def test_of_each_state_the_last_one_is_replayed_in_order(world: World) -> None:
    pid = world.begin().recovery_token
    world.announce(activity("a", thinking=True), 1)
    world.publish("1", 2)
    world.announce(activity("b"), 3)
    world.announce(activity("a", active=False), 4)
    world.shared.before_answer = lambda: world.announce(activity("b", thinking=True), 5)

    assert await world.come(pid) == ["1", "b True False", "a False False", "b True True"]


@pytest.mark.parametrize(("received", "missed"), [(0, ["a True False", "1"]), (1, ["1"]), (2, [])])
async def test_a_received_state_is_not_replayed(world: World, received: int, missed: list[str]) -> None:
    pid = world.begin().recovery_token
    world.announce(activity("a"), 1)
    world.publish("1", 2)

    assert await world.come(pid, f"aa.1-1f.0.{THERE}.{received}") == missed


async def test_a_received_state_is_not_replaced_by_an_earlier_one(world: World) -> None:
    pid = world.begin().recovery_token
    world.announce(activity("a", thinking=True), 1, ReplicaId("0c" * 8))
    world.announce(activity("a", active=False), 1)

    assert await world.come(pid, f"aa.1-1f.0.{THERE}.1") == []


@pytest.mark.parametrize(("read", "missed"), [(0, 1), (1, 0)])
async def test_an_occurrence_is_replayed_once(world: World, read: int, missed: int) -> None:
    pid = world.begin().recovery_token
    for number in (1, 2):
        world.announce(SessionEvent(SessionId("s"), "done", "title", "body", NOW), number)
    session = await world.after.claim(OWNER, world.handshake(pid), NOTHING)
    packets = world.after.resume(session, world.handshake(pid))
    assert len(packets) == 2
    world.after.lost(session, 0.0)
    session.release()

    assert len(await world.come(pid, offset_of(packets[read])) or ()) == missed


async def test_a_disconnect_record_limits_the_recovery_window(world: World) -> None:
    session = world.begin()
    world.before.lost(session, 0.0)
    world.now += 121
    assert await world.come(session.recovery_token) is None
    world.now -= 2
    assert [] == await world.come(session.recovery_token)
    assert world.shared.notes == {}


async def test_a_client_that_said_goodbye_is_not_recovered(world: World) -> None:
    session = world.begin()
    world.before.goodbye(session)

    assert await world.come(session.recovery_token) is None
    assert world.refused is not None
    assert NotDelivered.GOODBYE is world.refused.reason


async def test_without_the_history_of_all_nothing_is_guessed(world: World) -> None:
    pid = world.begin().recovery_token
    world.shared.kept = None
    assert await world.come(pid) is None
    world.shared.up = False
    assert await world.come(pid) is None
    assert not world.after.awaits(OWNER)


async def test_an_id_or_a_note_of_another_version_is_not_understood(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = world.begin().recovery_token
    world.shared.notes[PHONE] = b'["?"]'
    assert await world.come(pid) is None
    monkeypatch.setattr(cluster_recovery, "Identity", DisconnectRecord)
    assert await world.come(pid) is None
    assert not world.after.awaits(OWNER)


async def test_a_session_that_moved_leaves_nothing_behind(world: World) -> None:
    session = world.begin()
    closed: list[str] = []
    session.attach(lambda: closed.append("closed"))
    world.before.moved(AccountId("another"), PHONE)
    assert closed == []
    world.before.moved(OWNER, PHONE)
    world.before.lost(session, 0.0)

    assert closed == ["closed"]
    assert world.shared.notes == {}
    assert not world.before.awaits(OWNER)


async def test_a_client_that_comes_back_to_where_it_was_needs_nobody_else(world: World) -> None:
    session = world.begin()
    world.before.lost(session, 0.0)
    world.before.record(OWNER, Event(TO_USER, None, "update", b'"1"'))
    session.release()
    world.shared.up = False
    again = await world.before.claim(OWNER, world.handshake(session.recovery_token), NOTHING)

    assert again is session
    assert len(world.before.resume(session, world.handshake(session.recovery_token))) == 1


async def test_a_client_that_moved_away_and_back_waits_for_its_former_connection(world: World) -> None:
    """Both have one id: the cleanup of the former one removed the new one, which received nothing more."""
    former = world.begin()
    world.before.moved(OWNER, PHONE)
    back = asyncio.create_task(world.before.claim(OWNER, world.handshake(former.recovery_token), NOTHING))
    for _ in range(20):
        await asyncio.sleep(0)
    early = back.done()
    former.release()
    session = await back

    assert not early
    assert session is not former
    assert PHONE == session.connection_id
