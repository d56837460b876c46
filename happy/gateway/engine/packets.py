"""Engine.IO 4 and Socket.IO 5 packets as text: pure and strict, with one kind of error.

An Engine.IO packet is a digit and its data; a polling payload is several of them with 0x1E between. A
Socket.IO packet travels as the data of an Engine.IO message. Arguments stay slices of the received text:
their values are never built, except for the rare packet with binary attachments.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

# Engine.IO
OPEN, CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "0", "1", "2", "3", "4", "5", "6"
PROBE = "probe"
SEPARATOR = "\x1e"
MAX_PACKETS = 16_384  # in one polling payload: a body of separators must not become millions of objects

# Socket.IO
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = range(7)
ROOT = "/"
RESERVED = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)

_HEAD = re.compile(
    r"([0-6])"  # kind
    r"(?:(?<=[56])(\d{1,4})-)?"  # number of attachments
    r"(?:(/[^,]{0,255})(?:,|\Z))?"  # namespace
    r"(\d{1,16})?"  # ack number
    r"(?=[\[{]|\Z)",
    re.ASCII,
)
_SURROGATE = re.compile(
    r"\\(?:"
    r"u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"  # a pair
    r"|(u[dD][89a-fA-F][0-9a-fA-F]{2})"  # half of one
    r"|.)",  # any other escape, so that an escaped backslash hides what follows it
    re.DOTALL,
)
_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NAME = msgspec.json.Decoder(str | float)
_ENCODER = msgspec.json.Encoder()


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow. Its message never quotes what was sent."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A Socket.IO packet whose body is still JSON text, empty if there was none."""

    kind: int
    body: str = ""
    ack: int | None = None
    namespace: str = ROOT
    attachments: int = 0


def decode_payload(body: bytes) -> list[str | bytes]:
    """The Engine.IO packets of a polling request, text or binary."""
    if body.count(b"\x1e") >= MAX_PACKETS:
        raise ProtocolError("too many packets in one payload")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ProtocolError("payload is not UTF-8") from None
    return [_decode_binary(part) if part[:1] == "b" else part for part in text.split(SEPARATOR)]


def encode_payload(packets: Iterable[str]) -> bytes:
    return SEPARATOR.join(packets).encode()


def _decode_binary(part: str) -> bytes:
    try:
        return base64.b64decode(part[1:], validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("binary packet is not base64") from None


def decode(text: str) -> Packet:
    """A Socket.IO packet from the data of an Engine.IO message."""
    kind = text[:1]
    if kind in {"2", "3"}:  # the shape of nearly all packets: kind, digits or nothing, array
        start = text.find("[", 1, 18)
        if start == 1:
            return Packet(int(kind), text[1:])
        digits = text[1:start]
        if start > 1 and digits.isdecimal() and digits.isascii():
            return Packet(int(kind), text[start:], int(digits))
    return _decode_any(text)


def _decode_any(text: str) -> Packet:
    head = _HEAD.match(text)
    if head is None:
        raise ProtocolError("malformed packet")
    kind, attachments, namespace, ack = head.groups()
    packet = Packet(
        int(kind),
        text[head.end() :],
        None if ack is None else int(ack),
        namespace or ROOT,
        int(attachments or 0),
    )
    if packet.kind >= BINARY_EVENT and packet.attachments == 0:
        raise ProtocolError("binary packet without attachments")
    if packet.kind == DISCONNECT and packet.body:
        raise ProtocolError("disconnect with a body")
    return packet


def decode_array(body: str) -> list[msgspec.Raw]:
    """The arguments of an event or ack as uninterpreted slices."""
    try:
        return _ARRAY.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        pass
    try:
        return _ARRAY.decode(_without_lone_surrogates(body))
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ProtocolError("malformed arguments") from None


def _without_lone_surrogates(body: str) -> str:
    """JavaScript may escape half a character pair, which no UTF-8 text can hold: it becomes U+FFFD."""
    return _SURROGATE.sub(lambda match: r"\ufffd" if match[1] else match[0], body)


def decode_event(body: str) -> tuple[str | None, list[msgspec.Raw]]:
    """Name and arguments of an event; a numeric name, which nobody listens to, is None."""
    args = decode_array(body)
    if not args:
        raise ProtocolError("event without name")
    try:
        name = _NAME.decode(args[0])
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ProtocolError("event name is neither text nor number") from None
    del args[0]
    if name in RESERVED:
        raise ProtocolError("reserved event name")
    return name if isinstance(name, str) else None, args


def decode_auth(body: str) -> msgspec.Raw | None:
    """The auth object of a CONNECT packet, unparsed."""
    if not body:
        return None
    try:
        _OBJECT.decode(body)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ProtocolError("malformed auth") from None
    return msgspec.Raw(body)


def fill_placeholders(body: str, attachments: Sequence[bytes]) -> str:
    """The body of a binary packet with base64 text where the attachments belong."""
    texts = [base64.b64encode(attachment).decode() for attachment in attachments]
    try:
        return _ENCODER.encode(_fill(msgspec.json.decode(body), texts)).decode()
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise ProtocolError("malformed arguments") from None


def _fill(value: Any, texts: list[str]) -> Any:
    if isinstance(value, list):
        return [_fill(item, texts) for item in value]
    if not isinstance(value, dict):
        return value
    if value.get("_placeholder") is not True:
        return {key: _fill(item, texts) for key, item in value.items()}
    number = value.get("num")
    if type(number) is not int or not 0 <= number < len(texts):
        raise ProtocolError("illegal attachment number")
    return texts[number]


def encode_event(name: str, payload: bytes, ack: int | None = None) -> str:
    """An event with one argument that is already JSON."""
    number = "" if ack is None else ack
    return f"{EVENT}{number}[{_ENCODER.encode(name).decode()},{payload.decode()}]"


def encode_ack(ack: int, args: bytes) -> str:
    """The answer to an event; `args` are its arguments as JSON, with commas between."""
    return f"{ACK}{ack}[{args.decode()}]"


def encode_connect(socket_id: str) -> str:
    return f'{CONNECT}{{"sid":"{socket_id}"}}'


def encode_connect_error(namespace: str, message: str) -> str:
    prefix = "" if namespace == ROOT else f"{namespace},"
    return f"{CONNECT_ERROR}{prefix}{_ENCODER.encode({'message': message}).decode()}"
