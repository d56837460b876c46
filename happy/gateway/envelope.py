"""Events on their way between nodes: a header that says for whom, a name, and the encoded payload."""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from happy.domain.events import Audience
from happy.domain.values import ConnectionId

SIGNAL = b"!"
"""How frames begin that are for nodes alone."""

_encode = msgspec.json.Encoder().encode


class Header(Struct, frozen=True, array_like=True):
    audience: Audience
    skip: ConnectionId | None


_header = msgspec.json.Decoder(Header).decode


class Envelope(NamedTuple):
    """What nodes need to deliver an event. The payload is not looked at."""

    audience: Audience
    skip: ConnectionId | None
    name: str
    payload: bytes


def encode(envelope: Envelope) -> bytes:
    header = _encode(Header(envelope.audience, envelope.skip))
    return header + b"\n" + envelope.name.encode() + b"\n" + envelope.payload


def decode(raw: bytes) -> Envelope:
    header, name, payload = raw.split(b"\n", 2)
    decoded = _header(header)
    return Envelope(decoded.audience, decoded.skip, name.decode(), payload)


def encode_signal(kind: str, text: str) -> bytes:
    return SIGNAL + kind.encode() + b"\n" + text.encode()


def decode_signal(raw: bytes) -> tuple[str, str]:
    kind, text = raw[len(SIGNAL) :].split(b"\n", 1)
    return kind.decode(), text.decode()
