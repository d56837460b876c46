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


class Frame(NamedTuple):
    """What nodes need to deliver an event. The payload is not looked at."""

    audience: Audience
    skip: ConnectionId | None
    name: str
    payload: bytes


def encode(frame: Frame) -> bytes:
    header = _encode(Header(frame.audience, frame.skip))
    return header + b"\n" + frame.name.encode() + b"\n" + frame.payload


def decode(raw: bytes) -> Frame:
    header, name, payload = raw.split(b"\n", 2)
    decoded = _header(header)
    return Frame(decoded.audience, decoded.skip, name.decode(), payload)


def encode_signal(kind: str, text: str) -> bytes:
    return SIGNAL + kind.encode() + b"\n" + text.encode()


def decode_signal(raw: bytes) -> tuple[str, str]:
    kind, text = raw[len(SIGNAL) :].split(b"\n", 1)
    return kind.decode(), text.decode()
