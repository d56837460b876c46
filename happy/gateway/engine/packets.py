"""Engine.IO 4 and Socket.IO 5 packets: pure and strict, with one kind of error.

An Engine.IO packet is a digit and its data; a polling payload is several of them with 0x1E between. A
Socket.IO packet travels as the data of an Engine.IO message. What is received is text, and validated
as JSON; what is sent is encoded to bytes directly. Arguments remain slices of the received text and are not
decoded, except for the rare packet with binary attachments.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec

from happy.domain.json_text import MAX_FREE_BYTES, is_cheap, mend
from happy.limits import limit

# Engine.IO, as it is received
CLOSE, PING, PONG, MESSAGE, UPGRADE, NOOP = "1", "2", "3", "4", "5", "6"
BINARY = "b"  # begins a message in base64
PROBE = "probe"
SEPARATOR = "\x1e"
# and as it is sent
CLOSE_PACKET, PING_PACKET, NOOP_PACKET, PROBE_PONG = b"1", b"2", b"6", b"3probe"
# in one polling payload: a body of separators must not become millions of objects
MAX_PACKETS = limit(
    16_384,
    "packets in one body of long polling",
    per="request",
    then="the transport is closed: `parse error`",
)

# characters of a packet that needs the slower, lenient decoding

MAX_AROUND_ATTACHMENTS = limit(
    65_536,
    "characters of a packet around its binary attachments",
    per="packet",
    then="the transport is closed: `parse error`",
)

# Socket.IO
CONNECT, DISCONNECT, EVENT, ACK, CONNECT_ERROR, BINARY_EVENT, BINARY_ACK = "0", "1", "2", "3", "4", "5", "6"
_COMMON_KINDS = frozenset({EVENT, ACK})
ROOT = "/"
RESERVED = frozenset(
    {"connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"}
)

LONGEST_HEAD = 24
"""Characters that hold the head of a common packet."""

_HEAD = re.compile(
    r"([0-6])"  # kind
    r"(?:(?<=[56])(\d{1,4})-)?"  # number of attachments
    r"(?:(/[^,]{0,255})(?:,|\Z))?"  # namespace
    r"(\d{1,16})?"  # ack number
    r"(?=[\[{]|\Z)",
    re.ASCII,
)
_PLACEHOLDER = re.compile(r'\{\s*"_placeholder"\s*:\s*true\s*,\s*"num"\s*:\s*([^\s{}]{1,20})\s*\}')
_RAW = msgspec.json.Decoder(msgspec.Raw)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_MALFORMED = (msgspec.DecodeError, UnicodeError, RecursionError)
_ENCODER = msgspec.json.Encoder()


Body = str | memoryview
"""JSON text of a Socket.IO packet; a view of bytes where it is large: they are known to be cheap."""

Decoded = TypeVar("Decoded")


class ProtocolError(Exception):
    """The peer sent what the protocol does not allow. Its message never quotes what was sent."""


CommonPacket = tuple[str, int | None, str]
"""Kind, ack number and body."""


class Packet(msgspec.Struct, frozen=True, gc=False):
    """A Socket.IO packet whose body is still JSON text, empty if there was none."""

    kind: str
    body: str = ""
    ack: int | None = None
    namespace: str = ROOT
    attachments: int = 0


class _Event(msgspec.Struct, array_like=True, gc=False):
    """The body of an event. More arguments than these are checked and dropped: no client sends them."""

    name: str | float
    first: msgspec.Raw = msgspec.Raw()
    second: msgspec.Raw = msgspec.Raw()
    third: msgspec.Raw = msgspec.Raw()
    fourth: msgspec.Raw = msgspec.Raw()


class _Ack(msgspec.Struct, array_like=True, gc=False):
    """The body of an ack."""

    first: msgspec.Raw = msgspec.Raw()


_EVENT_BODY = msgspec.json.Decoder(_Event)
_ACK_BODY = msgspec.json.Decoder(_Ack)


def decode_payload(body: bytes) -> list[str | bytes]:
    """The Engine.IO packets of a polling request, text or binary."""
    if body.count(b"\x1e") >= MAX_PACKETS:
        raise ProtocolError("too many packets in one payload")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ProtocolError("payload is not UTF-8") from None
    return [decode_binary(part) if part[:1] == BINARY else part for part in text.split(SEPARATOR)]


def encode_payload(packets: Iterable[bytes]) -> bytes:
    return b"\x1e".join(packets)


def decode_binary(part: str) -> bytes:
    """The data of a binary message that travels as text."""
    try:
        return base64.b64decode(part[1:], validate=True)
    except (binascii.Error, ValueError):
        raise ProtocolError("binary packet is not base64") from None


def decode_common(message: str) -> CommonPacket | None:
    """Fast path of `decode`: an event or ack in the namespace `/` with a short head, else None."""
    kind, start = message[1:2], message.find("[", 2, 19)
    if start < 0 or kind not in _COMMON_KINDS:
        return None
    if start == 2:  # noqa: PLR2004 - directly after the kind
        return kind, None, message[2:]
    digits = message[2:start]
    return (kind, int(digits), message[start:]) if digits.isdecimal() and digits.isascii() else None


def decode_long(packet: bytearray) -> tuple[CommonPacket | None, int]:
    """Kind and ack number of a large Engine.IO packet, as of `decode_common`, and where its body begins.

    Raises ProtocolError for one that is expensive to parse, or not ASCII.
    """
    if not is_cheap(packet):
        raise ProtocolError("a packet that is expensive to parse")
    head = packet[:LONGEST_HEAD].decode()
    common = decode_common(head) if head[:1] == MESSAGE else None
    return common, 0 if common is None else len(head) - len(common[2])


def decode(text: str) -> Packet:
    """A Socket.IO packet from the data of an Engine.IO message."""
    head = _HEAD.match(text)
    if head is None:
        raise ProtocolError("malformed packet")
    kind, attachments, namespace, ack = head.groups()
    packet = Packet(
        kind,
        text[head.end() :],
        None if ack is None else int(ack),
        namespace or ROOT,
        int(attachments or 0),
    )
    if packet.kind in {BINARY_EVENT, BINARY_ACK} and packet.attachments == 0:
        raise ProtocolError("binary packet without attachments")
    if packet.kind == DISCONNECT and packet.body:
        raise ProtocolError("disconnect with a body")
    return packet


def decode_event(body: Body) -> tuple[str | None, list[msgspec.Raw]]:
    """Name and undecoded arguments of an event. A number as the name, which no event has, is None."""
    if len(body) > MAX_FREE_BYTES:
        _require_cheap(body)
    try:
        event = _EVENT_BODY.decode(body)
    except _MALFORMED:
        event = _decode_leniently(_EVENT_BODY, body)
    name = event.name
    if name in RESERVED:
        raise ProtocolError("reserved event name")
    args = [event.first] if event.first else []
    if event.second:
        args += [arg for arg in (event.second, event.third, event.fourth) if arg]
    return name if isinstance(name, str) else None, args


def decode_ack(body: Body) -> msgspec.Raw | None:
    """The first argument of an ack, undecoded."""
    if len(body) > MAX_FREE_BYTES:
        _require_cheap(body)
    try:
        return _ACK_BODY.decode(body or "[]").first or None
    except _MALFORMED:
        return _decode_leniently(_ACK_BODY, body).first or None


def _decode_leniently(decoder: msgspec.json.Decoder[Decoded], body: Body) -> Decoded:
    """Decode JSON with lone surrogates. Raises ProtocolError if it is not JSON even then."""
    if not isinstance(body, str):
        raise ProtocolError("malformed arguments")
    try:
        return decoder.decode(mend(body.encode()))
    except _MALFORMED:
        raise ProtocolError("malformed arguments") from None


def _require_cheap(body: Body) -> None:
    if isinstance(body, str) and not is_cheap(body):
        raise ProtocolError("arguments that are expensive to parse")


def decode_auth(body: str) -> msgspec.Raw | None:
    """The auth object of a CONNECT packet, unparsed."""
    if not body:
        return None
    try:
        _OBJECT.decode(body)
    except _MALFORMED:
        raise ProtocolError("malformed auth") from None
    return msgspec.Raw(body)


def check_around_attachments(body: str) -> None:
    """To be called before attachments are waited for: until then the body is kept."""
    if len(body) > MAX_AROUND_ATTACHMENTS:
        raise ProtocolError("too many arguments around attachments")


def fill_placeholders(body: str, attachments: Sequence[bytes]) -> str:
    """The body of a binary packet with base64 text where the attachments belong, each once.

    The rest of it is not decoded.
    """
    missing = dict(enumerate(attachments))
    filled = _PLACEHOLDER.sub(lambda match: _attachment(match[1], missing), body)
    try:
        _RAW.decode(filled)
    except _MALFORMED:
        raise ProtocolError("malformed arguments") from None
    return filled


def _attachment(number: str, missing: dict[int, bytes]) -> str:
    attachment = missing.pop(int(number), None) if number.isdecimal() and number.isascii() else None
    if attachment is None:
        raise ProtocolError("illegal attachment number")
    return f'"{base64.b64encode(attachment).decode()}"'


def encode_open(settings: object) -> bytes:
    """The Engine.IO open packet: the response to a handshake."""
    return b"0" + _ENCODER.encode(settings)


def encode_event(name: str, payload: bytes, ack: int | None = None) -> bytes:
    """An event with one argument, given as JSON. The name must not need escapes in JSON."""
    if ack is None:
        return b'42["%b",%b]' % (name.encode(), payload)
    return b'42%d["%b",%b]' % (ack, name.encode(), payload)


def encode_event_at(offset: str, name: str, payload: bytes) -> bytes:
    """An event with its offset, for clients that take part in connection state recovery."""
    return b'42["%b",%b,"%b"]' % (name.encode(), payload, offset.encode())


def in_namespace(packet: bytes, namespace: str) -> bytes:
    """A packet of the namespace `/` as one of another: `42["x"]` becomes `42/happy,["x"]`."""
    return b"%b%b,%b" % (packet[:2], namespace.encode(), packet[2:])


def encode_ack(ack: int, args: bytes) -> bytes:
    """The acknowledgement of an event; `args` are its arguments as JSON, with commas between."""
    return b"43%d[%b]" % (ack, args)


def encode_connect(socket_id: str, recovery_token: str = "") -> bytes:
    """With a recovery token, the client takes part in connection state recovery."""
    pid = f',"pid":"{recovery_token}"' if recovery_token else ""
    return f'40{{"sid":"{socket_id}"{pid}}}'.encode()


def encode_connect_error(namespace: str, message: str) -> bytes:
    prefix = "" if namespace == ROOT else f"{namespace},"
    return b"44%b%b" % (prefix.encode(), _ENCODER.encode({"message": message}))
