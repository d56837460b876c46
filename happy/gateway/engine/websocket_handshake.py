"""The opening handshake of a websocket: the request, and its response."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from websockets.http11 import Request as UpgradeRequest
from websockets.server import ServerProtocol
from websockets.utils import accept_key

from happy.gateway.engine.asgi import Target

if TYPE_CHECKING:
    from happy.gateway.engine.transport import Acceptor, HandshakeRefusal

ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)
MALFORMED = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_NAME = re.compile(rb"[\w!#$%&'*+.^`|~-]+", re.ASCII)
_KEY = re.compile(rb"[A-Za-z0-9+/]{22}==")  # 16 bytes
_QUIET = logging.Logger("handshake", logging.CRITICAL)  # noqa: LOG001 - no handler: handshakes are not logged


class HandshakeResult(NamedTuple):
    """What a websocket handshake requests, and the HTTP response to it."""

    target: Target
    response: bytes
    accepted: bool


def accept_handshake(data: bytes, acceptor: Acceptor, peer: str = "") -> HandshakeResult | None:
    """Accept or refuse a handshake; None if `data` is no HTTP request."""
    common = _parse_common(data)
    if common is not None:
        common[0].peer = peer
    if common is None:
        return _handshake_by_library(data, acceptor, peer)
    target, key = common
    if (refusal := acceptor.refuse(target)) is not None:
        return _handshake_by_library(data, acceptor, peer, refusal)
    return HandshakeResult(target, ACCEPT % accept_key(key).encode(), accepted=True)


def _parse_common(data: bytes) -> tuple[Target, str] | None:
    """Target and key of a handshake as nearly all clients send it; None if the library is to parse it."""
    first, *lines = data[:-4].split(b"\r\n")
    if not (first.startswith(b"GET ") and first.endswith(b" HTTP/1.1") and data.endswith(b"\r\n\r\n")):
        return None
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    by_name = dict(headers)
    key = by_name.get(b"sec-websocket-key", b"")
    if (
        len(by_name) != len(headers)
        or not all(map(_NAME.fullmatch, by_name))
        or by_name.get(b"upgrade", b"").lower() != b"websocket"
        or b"upgrade" not in by_name.get(b"connection", b"").lower().replace(b" ", b"").split(b",")
        or by_name.get(b"sec-websocket-version") != b"13"
        or not _KEY.fullmatch(key)
    ):
        return None
    path, _, query = first[4:-9].decode("latin-1").partition("?")
    return Target("GET", path, query, headers, is_websocket=True), key.decode()


def _handshake_by_library(
    data: bytes, acceptor: Acceptor, peer: str, refusal: HandshakeRefusal | None = None
) -> HandshakeResult | None:
    """`refusal` is what the acceptor has said already."""
    http = ServerProtocol(logger=_QUIET)
    http.receive_data(data)
    request = next((event for event in http.events_received() if isinstance(event, UpgradeRequest)), None)
    if request is None:
        return None
    target = _target(request)
    target.peer = peer
    response = http.accept(request)
    accepted = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
    if accepted and (refusal := refusal or acceptor.refuse(target)) is not None:
        response = http.reject(refusal.status, msgspec.json.encode(refusal.body).decode())
        response.headers["Content-Type"] = "application/json"
        if refusal.retry_after is not None:
            response.headers["Retry-After"] = str(refusal.retry_after)
        accepted = False
    http.send_response(response)
    return HandshakeResult(target, b"".join(http.data_to_send()), accepted)


def _target(request: UpgradeRequest) -> Target:
    path, _, query = request.path.partition("?")
    headers = [
        (name.encode("latin-1", "surrogateescape"), value.encode("latin-1", "surrogateescape"))
        for name, value in request.headers.raw_items()
    ]
    return Target("GET", path, query, headers, is_websocket=True)
