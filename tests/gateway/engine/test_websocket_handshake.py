"""The fast path of the websocket handshake: same requests and responses as by the library."""

from typing import Any, cast

import pytest

from happy.gateway.engine import websocket_handshake
from happy.gateway.engine.asgi import Target
from happy.gateway.engine.transport import HandshakeRefusal
from happy.gateway.engine.websocket_handshake import accept_handshake

COMMON_HEADERS = {
    "Host": "example.org",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
    "X-Happy-Client": "cli/1",
}


class FixedAcceptor:
    """An acceptor that accepts everything, or nothing."""

    def __init__(self, *refusal: Any) -> None:
        self.refusal = HandshakeRefusal(*refusal) if refusal else None
        self.asked = 0

    def refuse(self, target: Target) -> HandshakeRefusal | None:
        self.asked += 1
        return self.refusal


def head(line: str = "GET /v1/updates/?EIO=4&transport=websocket HTTP/1.1", **changes: str | None) -> bytes:
    headers = COMMON_HEADERS | {name.replace("_", "-"): value for name, value in changes.items()}
    lines = [line, *(f"{name}: {value}" for name, value in headers.items() if value is not None)]
    return "\r\n".join([*lines, "", ""]).encode()


def by_library(data: bytes) -> Any:
    result = websocket_handshake._handshake_by_library(data, cast("Any", FixedAcceptor()), "")
    assert result is not None
    return result


@pytest.mark.parametrize(
    "data",
    [
        head(),
        head(Connection="keep-alive, Upgrade"),
        head(Connection="keep-alive,upgrade"),
        head(Upgrade="WebSocket"),
        head(Origin="https://app", Sec_WebSocket_Extensions="permessage-deflate; client_max_window_bits"),
        head("GET /v1/updates/?x=%20a&EIO=4 HTTP/1.1"),
    ],
)
def test_a_common_handshake_gets_the_response_of_the_library(data: bytes) -> None:
    common = websocket_handshake._parse_common(data)
    quick, slow = accept_handshake(data, cast("Any", FixedAcceptor())), by_library(data)

    assert common is not None
    assert quick is not None
    assert quick.accepted
    assert slow.accepted
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in quick.response
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in slow.response
    ours, theirs = quick.target, slow.target
    assert (ours.method, ours.path, ours.query("EIO")) == (theirs.method, theirs.path, theirs.query("EIO"))
    assert list(ours.headers) == [(name.lower(), value) for name, value in theirs.headers]


@pytest.mark.parametrize(
    "data",
    [
        head("POST / HTTP/1.1"),
        head("GET / HTTP/1.0"),
        head(Upgrade="h2c"),
        head(Upgrade=None),
        head(Connection="close"),
        head(Connection=None),
        head(Sec_WebSocket_Key="short"),
        head(Sec_WebSocket_Key="dGhlIHNhbXBsZSBub25jZQ=="[:-2]),
        head(Sec_WebSocket_Key=None),
        head(Sec_WebSocket_Version="8"),
        head(Sec_WebSocket_Version=None),
        head()[:-2] + b"Sec-WebSocket-Version: 13\r\n\r\n",
        head()[:-2] + b"bad name: 1\r\n\r\n",
        head()[:-2] + b" folded\r\n\r\n",
        head()[:-2],
        head() + b"more",
        b"",
        b"\r\n\r\n",
        b"GET \r\n\r\n",
    ],
)
def test_anything_unusual_is_for_the_library(data: bytes) -> None:
    assert None is websocket_handshake._parse_common(data)


def test_a_refusal_is_written_by_the_library() -> None:
    refused = accept_handshake(head(), cast("Any", FixedAcceptor(404, {"message": "Not found"})))

    assert refused is not None
    assert not refused.accepted
    assert refused.response.startswith(b"HTTP/1.1 404")


def test_a_refused_handshake_was_counted_twice_and_did_not_say_when_to_try_again() -> None:
    acceptor = FixedAcceptor(429, {"message": "Too many connects"}, 7)
    refused = accept_handshake(head(), cast("Any", acceptor))

    assert refused is not None
    assert b"\r\nRetry-After: 7\r\n" in refused.response
    assert 1 == acceptor.asked
