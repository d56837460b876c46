"""Websocket framing, without a socket; frames of clients are made by the `websockets` library."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode

from happy.gateway.engine import frames
from happy.gateway.engine.frames import FrameError, FrameReader

LIMIT = 200_000
MEDIUM = 65_535


def sent(opcode: int, payload: bytes, *, fin: bool = True) -> bytes:
    return Frame(Opcode(opcode), payload, fin=fin).serialize(mask=True)


def read(data: bytes, limit: int = LIMIT) -> list[tuple[int, bytes | bytearray]]:
    return drain(FrameReader(limit), data)


def drain(reader: FrameReader, data: bytes) -> list[tuple[int, bytes | bytearray]]:
    reader.feed(data)
    messages = []
    while (message := reader.next()) is not None:
        messages.append(message)
    return messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65_535, 65_536, LIMIT])
def test_every_width_of_length_is_read(size: int) -> None:
    data = sent(frames.TEXT, b"x" * size)

    assert read(data) == [(frames.TEXT, b"x" * size)]
    assert FrameReader(LIMIT).whole_text(data) == (b"x" * size if size <= MEDIUM else None)


@pytest.mark.parametrize("step", [1_000, 4_099, 65_537])
@pytest.mark.parametrize("fragments", [1, 2])
def test_a_long_frame_is_unmasked_as_it_arrives(step: int, fragments: int) -> None:
    payload = bytes(range(251)) * 700
    parts = [payload[: len(payload) // fragments], payload[len(payload) // fragments :]]
    data = sent(frames.TEXT, parts[0], fin=fragments == 1) + sent(frames.PING, b"!")
    data += sent(frames.CONTINUATION, parts[1]) if fragments > 1 else sent(frames.TEXT, parts[1])
    data += sent(frames.TEXT, b"next")
    reader = FrameReader(LIMIT)
    messages, most = [], 0
    for at in range(0, len(data), step):
        messages += drain(reader, data[at : at + step])
        most = max(most, reader.size)

    texts = [(frames.TEXT, payload)] if fragments > 1 else [(frames.TEXT, parts[0]), (frames.TEXT, b"")]
    expected = [(frames.PING, b"!"), *texts] if fragments > 1 else [texts[0], (frames.PING, b"!"), texts[1]]
    assert messages == [*expected, (frames.TEXT, b"next")]
    assert len(payload) - step <= most <= len(payload) + step
    assert (0, b"") == (reader.size, reader.rest)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, MEDIUM])
def test_only_what_is_one_text_and_nothing_else_is_a_whole_text(size: int) -> None:
    payload, data = b"x" * size, sent(frames.TEXT, b"x" * size)
    unmasked = Frame(Opcode.TEXT, payload).serialize(mask=False)
    others = [
        b"",
        data[:-1],
        data + b"\x81",
        data + data,
        unmasked,
        unmasked + b"1234",
        sent(frames.BINARY, payload),
        sent(frames.TEXT, payload, fin=False),
        sent(frames.CONTINUATION, payload),
        b"\xc1" + data[1:],
    ]

    assert [FrameReader(LIMIT).whole_text(other) for other in others] == [None] * len(others)


def test_a_text_behind_something_unfinished_or_above_the_limit_is_no_whole_text() -> None:
    data = sent(frames.TEXT, b"x" * 200)
    reader = FrameReader(LIMIT)

    assert FrameReader(199).whole_text(data) is None
    reader.feed(data[:1])
    assert reader.whole_text(data[1:]) is None
    assert drain(reader, data[1:]) == [(frames.TEXT, b"x" * 200)]
    assert reader.whole_text(data) == b"x" * 200
    assert drain(reader, sent(frames.TEXT, b"a", fin=False)) == []
    assert reader.whole_text(data) is None


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_what_is_written_is_a_frame(size: int) -> None:
    expected = Frame(Opcode.TEXT, b"x" * size).serialize(mask=False)

    assert frames.frame(frames.TEXT, b"x" * size) == expected


def test_a_close_frame_carries_its_code() -> None:
    assert frames.close_frame(1000) == b"\x88\x02\x03\xe8"


@pytest.mark.parametrize(
    ("payload", "answer"),
    [
        (b"", b""),
        (b"\x03\xe8", b"\x03\xe8"),
        (b"\x03\xe9going away", b"\x03\xe9"),
        (b"\x0f\xa0", b"\x0f\xa0"),  # 4000, of an application
        (b"\x03", b"\x03\xea"),  # half a code
        (b"\x03\xe7", b"\x03\xea"),  # 999
        (b"\x03\xed", b"\x03\xea"),  # 1005, which is never sent
        (b"\x13\x88", b"\x03\xea"),  # 5000
        (b"\x03\xe8\xff", b"\x03\xef"),  # a reason that is not text
    ],
)
def test_a_close_frame_is_answered_with_its_code_if_that_is_one(payload: bytes, answer: bytes) -> None:
    assert frames.close_response(payload) == frames.frame(frames.CLOSE, answer)


def test_fragments_are_joined_and_control_frames_pass_between_them() -> None:
    data = b"".join(
        [
            sent(frames.TEXT, b"ab", fin=False),
            sent(frames.PING, b"?"),
            sent(frames.CONTINUATION, b"cd", fin=False),
            sent(frames.CONTINUATION, b""),
            sent(frames.BINARY, b"ef"),
        ]
    )

    assert read(data) == [(frames.PING, b"?"), (frames.TEXT, b"abcd"), (frames.BINARY, b"ef")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frames.frame(frames.TEXT, b"unmasked"), frames.CLOSE_PROTOCOL),
        (b"\xc1\x80\0\0\0\0", frames.CLOSE_PROTOCOL),  # compressed
        (b"\x83\x80\0\0\0\0", frames.CLOSE_PROTOCOL),  # reserved opcode
        (b"\x09\x80\0\0\0\0", frames.CLOSE_PROTOCOL),  # fragmented ping
        (b"\x89\xfe\0\x7e\0\0\0\0", frames.CLOSE_PROTOCOL),  # ping of 126 bytes
        (sent(frames.CONTINUATION, b"x"), frames.CLOSE_PROTOCOL),
        (sent(frames.TEXT, b"x", fin=False) + sent(frames.TEXT, b"x"), frames.CLOSE_PROTOCOL),
        (sent(frames.TEXT, b"x" * (LIMIT + 1)), frames.CLOSE_TOO_LARGE),
        (b"\x81\xff" + b"\xff" * 8, frames.CLOSE_TOO_LARGE),  # before its payload arrives
        (
            sent(frames.TEXT, b"x" * LIMIT, fin=False) + sent(frames.CONTINUATION, b"x", fin=False),
            frames.CLOSE_TOO_LARGE,
        ),
    ],
    ids=[
        "unmasked", "compressed", "reserved opcode", "fragmented ping", "large ping",
        "continuation of nothing", "message in a message", "large message", "large header", "large fragments",
    ],
)  # fmt: skip
def test_what_breaks_the_protocol_or_the_limit_is_an_error(data: bytes, code: int) -> None:
    with pytest.raises(FrameError) as raised:
        read(data)

    assert raised.value.code == code


def test_endless_fragments_without_content_are_an_error() -> None:
    empty = sent(frames.CONTINUATION, b"", fin=False)

    with pytest.raises(FrameError):
        read(sent(frames.TEXT, b"", fin=False) + empty * 70_000)


def test_nothing_is_kept_of_what_was_read() -> None:
    reader = FrameReader(LIMIT)
    drain(reader, sent(frames.TEXT, b"x" * 1000))

    assert reader.rest == b""


MESSAGE = st.tuples(
    st.sampled_from([frames.TEXT, frames.BINARY, frames.PING]),
    st.binary(max_size=125),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGE, max_size=6), st.data())
def test_messages_are_the_same_however_the_network_cuts_them(
    messages: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    messages = [(opcode, payload * 700 if opcode != frames.PING else payload) for opcode, payload in messages]
    stream = b"".join(sent(opcode, payload) for opcode, payload in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=12)))
    reader = FrameReader(LIMIT)

    received = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if start < end:
            received += drain(reader, stream[start:end])

    assert received == messages


@settings(max_examples=300, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8))
def test_any_bytes_are_messages_or_an_error(pieces: list[bytes]) -> None:
    reader = FrameReader(1000)
    with contextlib.suppress(FrameError):
        for piece in pieces:
            drain(reader, piece)
