"""Websocket frames as RFC 6455 defines them for a server: pure, strict, without extensions."""

from __future__ import annotations

from functools import partial
from struct import Struct

try:
    from websockets.speedups import apply_mask
except ImportError:  # where no compiled wheel exists
    from websockets.utils import apply_mask

from happy.domain.json_text import MAX_FREE_BYTES
from happy.gateway.engine.flood import FRAGMENT_BYTES, MAX_TINY_FRAGMENTS, ControlBudget

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
CLOSE_NORMAL, CLOSE_PROTOCOL, CLOSE_NOT_UTF8 = 1000, 1002, 1007
CLOSE_POLICY, CLOSE_TOO_LARGE = 1008, 1009

_FIN, _OPCODE, _MASKED = 0x80, 0x0F, 0x80
_CONTROL = _FIN | CLOSE  # the first byte of the first of the control frames, which are never fragments
_SHORT, _MEDIUM, _LONG = 125, 126, 127
_HEADER, _MASK = 2, 4
_MEDIUM_HEAD, _LONG_HEAD = Struct("!BBH").pack, Struct("!BBQ").pack
_MEDIUM_MAX = 0xFFFF
_CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015)})  # that may be sent
_FREE_CODES = (3000, 4999)  # of libraries and applications
# The first bytes of an unfragmented text frame, by its whole size:
_SHORT_FRAME, _MEDIUM_FRAME = 6 + _SHORT, 8 + _MEDIUM_MAX
_SHORT_TEXTS = {size: bytes((_FIN | TEXT, _MASKED | size - 6)) for size in range(6, _SHORT_FRAME + 1)}
_MEDIUM_TEXT = partial(Struct("!BBH").pack, _FIN | TEXT, _MASKED | _MEDIUM)
_LEGAL = frozenset(  # first bytes of a frame: control frames are not fragmented, there are no extensions
    {CONTINUATION, TEXT, BINARY, *(_FIN | kind for kind in (CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG))}
)

Message = tuple[int, bytes | bytearray]

LONG = 65_536
"""Bytes of a frame from which on it is unmasked as it arrives: each copy of a large one costs ms."""


class FrameError(Exception):
    """The peer broke the websocket protocol or a limit; `code` is for the close frame."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class LongFrame:
    """A frame of which more is to come; its payload so far, unmasked."""

    __slots__ = ("_mask", "first", "missing", "payload")

    def __init__(self, first: int, mask: bytes, size: int) -> None:
        self.first = first  # its first byte
        self.payload = bytearray()
        self.missing = size
        self._mask = mask * 2

    def feed(self, data: bytes | bytearray) -> bytes:
        """Take what belongs to the frame; returns the rest."""
        at, taken = len(self.payload) % _MASK, min(self.missing, len(data))
        piece = data if taken == len(data) else data[:taken]
        self.payload += apply_mask(piece, self._mask[at : at + _MASK])
        self.missing -= taken
        return bytes(data[taken:])


class FrameReader:
    """Parses received bytes into messages: text and binary ones reassembled, control frames as they come."""

    __slots__ = (
        "_control",
        "_fragments",
        "_fragments_count",
        "_kind",
        "_long",
        "_position",
        "limit",
        "rest",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit  # of a message; may be changed at any time
        self.rest: bytes | bytearray = b""  # received and not parsed yet
        self._position = 0  # in the rest, of the next frame
        self._kind = CONTINUATION  # of the message whose first fragments have arrived
        self._fragments: bytearray | None = None  # joined: tiny ones would cost many times their size
        self._fragments_count = 0
        self._long: LongFrame | None = None  # what arrives belongs to it
        self._control: ControlBudget | None = None  # few peers ever send a control frame

    def whole_text(self, data: bytes) -> bytes | None:
        """The payload, if `data` is exactly one text frame; else None, and `data` is for `feed`.

        The fast path: it nearly always is, and then its size alone determines its first bytes.
        """
        size = len(data)
        if self.rest or self._fragments is not None or self._long is not None or size > self.limit:
            return None
        if size <= _SHORT_FRAME:
            return apply_mask(data[6:], data[2:6]) if data[:2] == _SHORT_TEXTS.get(size) else None
        if size <= _MEDIUM_FRAME and data[:4] == _MEDIUM_TEXT(size - 8):
            return apply_mask(data[8:], data[4:8])
        return None

    @property
    def size(self) -> int:
        """Bytes of the incomplete message, and of what arrived behind it."""
        parts = len(self._fragments) if self._fragments else 0
        return len(self.rest) - self._position + parts + (len(self._long.payload) if self._long else 0)

    def feed(self, data: bytes) -> None:
        """Buffer received bytes."""
        if self._long is not None and self._long.missing:
            data = self._long.feed(data)
        if not self.rest:
            self.rest = data
            return
        # In a bytearray, so that a large frame is not copied for each piece.
        rest = self.rest if isinstance(self.rest, bytearray) else bytearray(self.rest)
        del rest[: self._position]
        rest += data
        self.rest, self._position = rest, 0

    def next(self) -> Message | None:
        """The next message as (opcode, payload), None until more arrives. Raises FrameError.

        The payload of one that was long and arrived in pieces is a bytearray, which nobody else has.
        """
        while (frame := self._next_frame() if self._long is None else self._end(self._long)) is not None:
            first, payload = frame
            if first >= _CONTROL:
                self.count_control()
                return first & _OPCODE, payload
            if first > _FIN and self._fragments is None:
                return first & _OPCODE, payload
            message = self._assemble(first, payload)
            if message is not None:
                return message
        return None

    def count_control(self) -> None:
        """A control frame, or one that is worth as little. Raises FrameError if it is one too many."""
        if self._control is None:
            self._control = ControlBudget()
        if self._control.is_exceeded():
            raise FrameError(CLOSE_POLICY)

    def discard(self) -> None:
        """Drop what is buffered."""
        self.rest, self._position, self._fragments, self._long, self.limit = b"", 0, None, None, 0

    def _next_frame(self) -> tuple[int, bytes | bytearray] | None:
        data, start = self.rest, self._position
        if len(data) - start < _HEADER:
            return None
        first, size = data[start], data[start + 1] - _MASKED
        if first not in _LEGAL or size < 0 or (size > _SHORT and first >= _CONTROL):
            raise FrameError(CLOSE_PROTOCOL)
        begin = start + _HEADER + _MASK
        if size > _SHORT:
            width = 2 if size == _MEDIUM else 8
            size = int.from_bytes(data[begin - _MASK : begin - _MASK + width])  # if cut, too small a number
            begin += width
        if size > self.limit - (len(self._fragments) if self._fragments else 0) and first < _CONTROL:
            raise FrameError(CLOSE_TOO_LARGE)
        end = begin + size
        if end > len(data):
            self._begin_long(first, begin, size)
            return None
        payload = apply_mask(data[begin:end], data[begin - _MASK : begin])
        if end == len(data):
            self.rest, self._position = b"", 0
        else:
            self._position = end
        return first, payload

    def _begin_long(self, first: int, begin: int, size: int) -> None:
        if size <= LONG:
            return
        self._long = LongFrame(first, bytes(self.rest[begin - _MASK : begin]), size)
        self._long.feed(self.rest[begin:])
        self.rest, self._position = b"", 0

    def _end(self, long: LongFrame) -> tuple[int, bytearray] | None:
        if long.missing:
            return None
        self._long = None
        return long.first, long.payload

    def _assemble(self, first: int, payload: bytes | bytearray) -> Message | None:
        opcode = first & _OPCODE
        if (opcode == CONTINUATION) == (self._fragments is None):
            raise FrameError(CLOSE_PROTOCOL)
        if self._fragments is None:
            self._kind, self._fragments, self._fragments_count = opcode, bytearray(), 0
        self._fragments_count += 1
        self._fragments += payload
        if not first & _FIN:
            if self._fragments_count > MAX_TINY_FRAGMENTS + len(self._fragments) // FRAGMENT_BYTES:
                raise FrameError(CLOSE_TOO_LARGE)
            return None
        whole, self._fragments = self._fragments, None
        return self._kind, whole if len(whole) > LONG else bytes(whole)


def content(opcode: int, payload: bytes | bytearray) -> str | bytes | bytearray:
    """What a message holds: str for text, but a bytearray for large text; bytes for a binary one.

    Raises UnicodeDecodeError, for large text not: whoever parses it has to check it.
    """
    if opcode == BINARY:
        return bytes(payload)
    return payload if isinstance(payload, bytearray) and len(payload) > MAX_FREE_BYTES else payload.decode()


def frame(opcode: int, payload: bytes | bytearray) -> bytes:
    """One unmasked frame."""
    size = len(payload)
    if size <= _SHORT:
        return bytes((_FIN | opcode, size)) + payload
    if size <= _MEDIUM_MAX:
        return _MEDIUM_HEAD(_FIN | opcode, _MEDIUM, size) + payload
    return long_head(opcode, size) + payload


def long_head(opcode: int, size: int) -> bytes:
    """What comes before the payload of a frame of more than 64 KiB, so that this need not be copied."""
    return _LONG_HEAD(_FIN | opcode, _LONG, size)


def close_frame(code: int) -> bytes:
    return frame(CLOSE, code.to_bytes(2))


def close_response(payload: bytes | bytearray) -> bytes:
    """The response to a close frame: with the same code if that is valid, else with an error code."""
    if not payload:
        return frame(CLOSE, b"")
    code = int.from_bytes(payload[:2]) if len(payload) > 1 else 0
    if not (code in _CLOSE_CODES or _FREE_CODES[0] <= code <= _FREE_CODES[1]):
        return close_frame(CLOSE_PROTOCOL)
    try:
        payload[2:].decode()
    except UnicodeDecodeError:
        return close_frame(CLOSE_NOT_UTF8)
    return close_frame(code)
