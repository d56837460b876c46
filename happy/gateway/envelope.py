"""Envelopes, which carry events between replicas: a header with the audience, a name, an encoded payload."""

from typing import NamedTuple

import msgspec
from msgspec import Struct

from happy.domain.events import Audience
from happy.domain.values import ConnectionId

SIGNAL = b"!"
"""The first byte of signals, which replicas send to each other and never to clients."""

_encode = msgspec.json.Encoder().encode


class Header(Struct, frozen=True, array_like=True):
    audience: Audience
    skip: ConnectionId | None


_header = msgspec.json.Decoder(Header).decode


class Envelope(NamedTuple):
    """What a replica needs to deliver an event; the payload is not decoded. `skip` is not sent it."""

    audience: Audience
    skip: ConnectionId | None
    name: str
    payload: bytes


def encode(envelope: Envelope) -> tuple[bytes, bytes]:
    """In two pieces, of which the payload is the second: it may be large, and is not copied for its head."""
    header = _encode(Header(envelope.audience, envelope.skip))
    return b"%b\n%b\n" % (header, envelope.name.encode()), envelope.payload


def decode(raw: bytes) -> Envelope:
    header, name, payload = raw.split(b"\n", 2)
    decoded = _header(header)
    return Envelope(decoded.audience, decoded.skip, name.decode(), payload)


def encode_signal(kind: str, text: str) -> bytes:
    return SIGNAL + kind.encode() + b"\n" + text.encode()


def decode_signal(raw: bytes) -> tuple[str, str]:
    kind, text = raw[len(SIGNAL) :].split(b"\n", 1)
    return kind.decode(), text.decode()
