"""How far the clients of a session were sent its messages, as it stands at the end of an offset."""

import msgspec
import pytest

from happy.domain.values import AccountId
from happy.gateway import handshake
from happy.gateway.engine import encode_event, encode_event_at
from happy.gateway.recovery.cursor_offsets import with_cursors
from happy.gateway.recovery.cursors import MAX_SESSIONS, Cursors, cursor_text, seq_of, split_cursor
from happy.gateway.recovery.history import last_argument

OWNER = AccountId("owner")


def message(seq: int) -> bytes:
    message = b'{"id":"m","seq":%d,"content":{"t":"encrypted","c":"..."}}' % seq
    body = b'{"t":"new-message","sid":"s","message":%b}' % message
    return b'{"id":"abcdefghijkl","seq":901,"body":%b,"createdAt":1}' % body


def test_an_offset_ends_in_the_cursor_of_its_session() -> None:
    cursors = Cursors()
    cursors.follow(OWNER, "s", 41)

    assert cursors.after(OWNER, "s", b'{"body":{"t":"update-session"}}') == "~29"
    assert cursors.after(OWNER, "s", message(42)) == "~2a"
    assert cursors.after(OWNER, "s", b'{"body":{"t":"update-session"}}') == "~2a"


def test_sessions_that_nobody_relies_on_cost_nothing() -> None:
    cursors = Cursors()
    cursors.follow(OWNER, "s", 1)

    assert cursors.after(OWNER, "another", message(5)) == ""
    assert cursors.after(AccountId("somebody else"), "s", message(5)) == ""

    cursors.forget(OWNER)

    assert cursors.after(OWNER, "s", message(5)) == ""


def test_one_that_comes_late_does_not_turn_back_the_cursor() -> None:
    cursors = Cursors()
    cursors.follow(OWNER, "s", 9)
    cursors.follow(OWNER, "s", 3)

    assert cursors.after(OWNER, "s", message(8)) == "~9"


def test_what_an_account_can_make_us_follow_is_bounded() -> None:
    cursors = Cursors()
    for number in range(MAX_SESSIONS + 1):
        cursors.follow(OWNER, str(number), 1)

    assert cursors.after(OWNER, "0", message(2)) == ""
    assert cursors.after(OWNER, "1", message(2)) == "~2"


@pytest.mark.parametrize(
    ("text", "head", "seq"),
    [
        ("tag.17-mark~2a", "tag.17-mark", 42),
        ("tag.17", "tag.17", None),
        ("~0", "", 0),
        ("", "", None),
        ("tag.17~", "tag.17", None),
        ("tag.17~-1", "tag.17", None),
        ("tag.17~fffffffff", "tag.17", None),
        ("tag.17~2A", "tag.17", None),
    ],
)
def test_whatever_a_client_sends_is_split(text: str, head: str, seq: int | None) -> None:
    assert split_cursor(text) == (head, seq)


def test_the_number_of_a_message_is_not_that_of_its_update() -> None:
    assert seq_of(message(7)) == 7
    assert cursor_text(7) == "~7"
    assert cursor_text(None) == ""


def test_a_message_read_from_the_store_is_not_replayed_when_its_event_came_late() -> None:
    """The offset that is sent with such a message says nothing; any other is one of the history."""
    auth = {"token": "t", "clientType": "session-scoped", "sessionId": "s", "pid": "p"}

    def given(offset: str, seq: int, **more: str) -> bool:
        raw = msgspec.Raw(msgspec.json.encode({**auth, "offset": offset, **more}))
        return handshake.read(raw, {}).was_given(b'42["update",%b,"tag.9~9"]' % message(seq))

    assert [given("~7", seq) for seq in (6, 7, 8)] == [True, True, False]
    assert not given("tag.3~7", 7)
    assert not given("", 7, pid="p~7")
    assert not given("~7", 7, clientType="user-scoped")


def message_packet(seq: int, offset: str) -> bytes:
    return encode_event_at(
        offset,
        "update",
        b'{"id":"u","seq":1,"body":{"t":"new-message","sid":"s","message":{"id":"m","seq":%d}}}' % seq,
    )


def test_replayed_packets_have_the_cursor_of_their_client() -> None:
    """What another replica kept before the client came has none, or one of other clients."""
    state = encode_event("ephemeral", b'{"type":"activity","id":"-"}')
    update = b'{"id":"u","seq":2,"body":{"t":"delete-session","sid":"s"}}'
    packets = [
        message_packet(7, "-1f.a0"),
        encode_event_at("0123abcd.17-1f.a1~5", "update", update),
        state,
        message_packet(9, "0123abcd.18-1f.a1"),
        encode_event_at("~8", "update", update),
    ]

    replayed = list(with_cursors(packets, 6))

    offsets = [last_argument(packet) for packet in replayed]
    assert ["-1f.a0~7", "0123abcd.17-1f.a1~7", "", "0123abcd.18-1f.a1~9", "~8"] == offsets
    assert state == replayed[2]
    assert packets == list(with_cursors(packets, None))
