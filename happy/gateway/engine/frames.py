"""Websocket frames as RFC 6455 defines them for a server: pure, strict, without extensions."""

import struct

try:
    from websockets.speedups import apply_mask
except ImportError:  # where no compiled wheel exists
    from websockets.utils import apply_mask

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
CLOSE_NORMAL, CLOSE_GOING_AWAY, CLOSE_PROTOCOL, CLOSE_NOT_UTF8, CLOSE_TOO_LARGE = 1000, 1001, 1002, 1007, 1009

_FIN, _RESERVED, _OPCODE, _MASKED, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_SHORT, _MEDIUM, _LONG = 125, 126, 127
_HEADER, _MASK = 2, 4
_MEDIUM_MAX = 0xFFFF
_MAX_FRAGMENTS = 65_536  # of one message: empty ones cost memory too
_CLOSE_CODES = frozenset({*range(1000, 1004), *range(1007, 1015)})  # that may be sent
_FREE_CODES = (3000, 4999)  # of libraries and applications
_KNOWN = frozenset({CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG})

Message = tuple[int, bytes]


class FrameError(Exception):
    """The peer broke the websocket protocol or a limit; `code` says how when closing."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class FrameReader:
    """Cuts received bytes into messages: text and binary ones whole, control frames as they come."""

    __slots__ = ("_data", "_fragments", "_fragments_size", "_kind", "_position", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit  # of a message; may be changed at any time
        self._data: bytes | bytearray = b""
        self._position = 0
        self._kind = CONTINUATION  # of the message whose first fragments have arrived
        self._fragments: list[bytes] | None = None
        self._fragments_size = 0

    def feed(self, data: bytes) -> None:
        """Add what was received."""
        if self._position >= len(self._data):
            self._data = data
        else:  # the rest of a frame: in a bytearray, so that a large one is not copied for each piece
            rest = self._data if isinstance(self._data, bytearray) else bytearray(self._data)
            del rest[: self._position]
            rest += data
            self._data = rest
        self._position = 0

    def next(self) -> Message | None:
        """The next message as (opcode, payload), None until more arrives. Raises FrameError."""
        while True:
            frame = self._next_frame()
            if frame is None:
                self._let_go()
                return None
            first, payload = frame
            opcode = first & _OPCODE
            if first & _FIN and opcode and (opcode >= CLOSE or self._fragments is None):
                return opcode, payload
            message = self._assemble(first, payload)
            if message is not None:
                return message

    def _next_frame(self) -> tuple[int, bytes] | None:
        data, start = self._data, self._position
        available = len(data) - start
        if available < _HEADER:
            return None
        first, second = data[start], data[start + 1]
        start += _HEADER
        size = second & _LENGTH
        if first & _RESERVED or not second & _MASKED or first & _OPCODE not in _KNOWN:
            raise FrameError(CLOSE_PROTOCOL)
        if first & _OPCODE >= CLOSE and (size > _SHORT or not first & _FIN):
            raise FrameError(CLOSE_PROTOCOL)
        if size > _SHORT:
            width = 2 if size == _MEDIUM else 8
            if available < _HEADER + width:
                return None
            size = int.from_bytes(data[start : start + width])
            start += width
        if size + self._fragments_size > self.limit and first & _OPCODE < CLOSE:
            raise FrameError(CLOSE_TOO_LARGE)
        mask, start = data[start : start + _MASK], start + _MASK
        end = start + size
        if end > len(data):
            return None
        self._position = end
        return first, apply_mask(data[start:end], bytes(mask))

    def _let_go(self) -> None:
        if self._position >= len(self._data):
            self._data, self._position = b"", 0

    def _assemble(self, first: int, payload: bytes) -> Message | None:
        opcode = first & _OPCODE
        if (opcode == CONTINUATION) == (self._fragments is None):
            raise FrameError(CLOSE_PROTOCOL)
        if self._fragments is None:
            self._kind, self._fragments = opcode, []
        if len(self._fragments) >= _MAX_FRAGMENTS:
            raise FrameError(CLOSE_TOO_LARGE)
        self._fragments.append(payload)
        self._fragments_size += len(payload)
        if not first & _FIN:
            return None
        whole = b"".join(self._fragments)
        self._fragments, self._fragments_size = None, 0
        return self._kind, whole


def frame(opcode: int, payload: bytes) -> bytes:
    """One unmasked frame."""
    size = len(payload)
    if size <= _SHORT:
        return bytes((_FIN | opcode, size)) + payload
    if size <= _MEDIUM_MAX:
        return struct.pack("!BBH", _FIN | opcode, _MEDIUM, size) + payload
    return struct.pack("!BBQ", _FIN | opcode, _LONG, size) + payload


def close_frame(code: int) -> bytes:
    return frame(CLOSE, code.to_bytes(2))


def close_answer(payload: bytes) -> bytes:
    """The frame that answers a close frame with this payload: its own code, if that is one."""
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
