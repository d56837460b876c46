"""The opening handshake of a websocket: what is asked for, and the answer."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, NamedTuple

import msgspec
from websockets.http11 import Request as UpgradeRequest
from websockets.server import ServerProtocol

from happy.gateway.engine.asgi import Target

if TYPE_CHECKING:
    from happy.gateway.engine.transport import Door

_QUIET = logging.Logger("handshake", logging.CRITICAL)  # noqa: LOG001 - no handler: handshakes are no news


class Opening(NamedTuple):
    """A request for a websocket, and what to answer."""

    target: Target
    answer: bytes
    accepted: bool


def shake_hands(data: bytes, door: Door) -> Opening | None:
    """Judge a request head; None if it is none."""
    http = ServerProtocol(logger=_QUIET)
    http.receive_data(data)
    request = next((event for event in http.events_received() if isinstance(event, UpgradeRequest)), None)
    if request is None:
        return None
    target = _target(request)
    response = http.accept(request)
    accepted = response.status_code == HTTPStatus.SWITCHING_PROTOCOLS
    if accepted and (refusal := door.refuse(target)) is not None:
        status, error = refusal
        response = http.reject(status, msgspec.json.encode(error).decode())
        response.headers["Content-Type"] = "application/json"
        accepted = False
    http.send_response(response)
    return Opening(target, b"".join(http.data_to_send()), accepted)


def _target(request: UpgradeRequest) -> Target:
    path, _, query = request.path.partition("?")
    headers = [
        (name.encode("latin-1", "surrogateescape"), value.encode("latin-1", "surrogateescape"))
        for name, value in request.headers.raw_items()
    ]
    return Target("GET", path, query, headers, is_websocket=True)
