"""Request bodies: size limit, media type, decoding in one pass (protocol: http#body-parsing)."""

import re
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder

from happy.http.framework.asgi import Receive
from happy.http.framework.errors import body_too_large, malformed, unacceptable, unsupported
from happy.http.framework.validation import NUL, body_problem
from happy.limits import limit

MAX_BYTES = limit(
    100 * 1024 * 1024,
    "bytes of a request's body, where the endpoint names no other limit",
    per="request",
    then="413",
)
MAX_PUBLIC_BYTES = limit(1024 * 1024, "bytes of a request's body without a token", per="request", then="413")
"""Requests without a token need no more; a few large ones would fill the memory of a small machine."""

METHODS = frozenset({"POST", "PUT", "DELETE"})

# One JSON escape: of a backslash, of a whole surrogate pair, or (named) of half a pair.
ESCAPE = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
REPLACEMENT = rb"\ufffd"

_any = Decoder(Raw)


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Payload(Struct, frozen=True):
    """A body and how it was declared; `none` is the absence of one."""

    kind: Literal["json", "text", "bytes", "none"]
    content: bytes


NOTHING = Payload("none", b"")


async def read(
    method: str, headers: Mapping[bytes, bytes], receive: Receive, limit: int = MAX_BYTES
) -> Payload:
    """The body of a request, of at most `limit` bytes. Raises Refusal and ClientGone."""
    content = await _content(headers, receive, limit)
    declared = headers.get(b"content-type")
    if declared is None:
        if content:
            raise unsupported("none declared")
        return NOTHING
    media_type = declared.decode("latin-1").partition(";")[0].strip().lower()
    match media_type:
        case "application/json":
            if content and not content.isspace():
                return Payload("json", content)
            return NOTHING if method == "DELETE" else Payload("json", b"{}")
        case "application/octet-stream":
            return Payload("bytes", content)
        case "text/plain":
            return Payload("text", content)
        case _:
            raise unsupported(media_type or "none declared")


def stream(headers: Mapping[bytes, bytes], receive: Receive) -> AsyncIterator[bytes]:
    """The body as it arrives, for endpoints that take plain bytes. Raises Refusal for another type."""
    declared = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if declared != "application/octet-stream":
        raise unacceptable("body/ Invalid input: expected application/octet-stream")
    return _chunks(receive)


async def _chunks(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _content(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    announced = headers.get(b"content-length", b"0")
    if announced.isdigit() and int(announced[:16]) > limit:
        raise body_too_large()
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise body_too_large()
        chunks.append(chunk)
        if not message.get("more_body", False):
            return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def check(payload: Payload) -> None:
    """Check that a body which is ignored is well-formed all the same. Raises Refusal."""
    if payload.kind == "json":
        _decode(_any, payload.content)


def decode(decoder: Decoder[Any], payload: Payload) -> Any:
    """The value an endpoint asked for. Raises Refusal."""
    if payload.kind != "json":
        received = {"none": "null", "text": "string", "bytes": "bytes"}[payload.kind]
        raise unacceptable(f"body/ Invalid input: expected object, received {received}")
    data = _decode(decoder, payload.content)
    if rb"\u0000" in payload.content and _holds_nul(msgspec.to_builtins(data)):
        raise unacceptable(f"body/ {NUL}")
    return data


def _decode(decoder: Decoder[Any], content: bytes) -> Any:
    try:
        return decoder.decode(content)
    except ValidationError as error:
        if decoder is not _any:
            _decode(_any, content)  # what is not JSON at all is reported as malformed
        raise unacceptable(body_problem(str(error))) from None
    except (ValueError, RecursionError) as error:
        mended = _replace_invalid_unicode(content)
        if mended == content:
            raise malformed(str(error)) from None
    return _decode(decoder, mended)


def _replace_invalid_unicode(content: bytes) -> bytes:
    """Half surrogate pairs and foreign bytes become U+FFFD: JavaScript clients may cut an emoji in two."""
    text = content.decode(errors="replace").encode()
    return ESCAPE.sub(lambda match: REPLACEMENT if match["half"] else match[0], text)


def _holds_nul(value: object) -> bool:
    match value:
        case str():
            return "\0" in value
        case list():
            return any(map(_holds_nul, value))
        case dict():
            return any(_holds_nul(item) for pair in value.items() for item in pair)
        case _:
            return False
