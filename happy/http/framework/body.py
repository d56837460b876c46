"""Request bodies: size limit, media type, decoding in one pass (protocol: http#body-parsing)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal

import msgspec
from msgspec import Raw, Struct, ValidationError
from msgspec.json import Decoder

from happy.domain.json_text import is_cheap, mend
from happy.http.framework.asgi import Receive
from happy.http.framework.body_memory import BodyShare
from happy.http.framework.errors import body_too_large, malformed, unacceptable, unsupported
from happy.http.framework.validation import NUL, body_problem

METHODS = frozenset({"POST", "PUT", "DELETE"})

_any = Decoder(Raw)


class ClientGone(Exception):
    """The client closed the connection before its request was complete."""


class Payload(Struct, frozen=True):
    """A body and how it was declared; `none` is the absence of one. Only that of `json` is read."""

    kind: Literal["json", "text", "bytes", "none"]
    content: bytes | bytearray = b""


NOTHING = Payload("none")


async def read(
    method: str, headers: Mapping[bytes, bytes], receive: Receive, limit: int, share: BodyShare
) -> Payload:
    """The body of a request, of at most `limit` bytes. Raises Refusal and ClientGone.

    What its headers say is judged before it is read.
    """
    declared = headers.get(b"content-type")
    if announced(headers) > limit:
        raise body_too_large()
    if declared is None:
        if await _has_content(headers, receive):
            raise unsupported("none declared")
        return NOTHING
    media_type = declared.decode("latin-1").partition(";")[0].strip().lower()
    match media_type:
        case "application/json":
            content = await _content(receive, limit, share)
            if content and not content.isspace():
                return Payload("json", content)
            return NOTHING if method == "DELETE" else Payload("json", b"{}")
        case "application/octet-stream":
            return Payload("bytes")
        case "text/plain":
            return Payload("text")
        case _:
            raise unsupported(media_type or "none declared")


def announced(headers: Mapping[bytes, bytes]) -> int:
    """The size of the body in bytes; 0 if it is not said before."""
    length = headers.get(b"content-length", b"0")
    return int(length[:16]) if length.isdigit() else 0


def stream(headers: Mapping[bytes, bytes], receive: Receive) -> AsyncIterator[bytes]:
    """The body as it arrives, for endpoints that take plain bytes. Raises Refusal for another type."""
    declared = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    if declared != "application/octet-stream":
        raise unacceptable("body/ Invalid input: expected application/octet-stream")
    return chunks(receive)


def is_long(headers: Mapping[bytes, bytes], limit: int, most: int) -> bool:
    """Whether a body of JSON says that it is longer than `limit`, and not than `most`."""
    kind = headers.get(b"content-type", b"").decode("latin-1").partition(";")[0].strip().lower()
    return limit < announced(headers) <= most and kind == "application/json"


async def chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it arrives. Raises ClientGone."""
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _has_content(headers: Mapping[bytes, bytes], receive: Receive) -> bool:
    if announced(headers):
        return True
    async for chunk in chunks(receive):
        if chunk:
            return True
    return False


async def _content(receive: Receive, limit: int, share: BodyShare) -> bytes | bytearray:
    message = await receive()
    first: bytes = message.get("body", b"")
    if message["type"] == "http.request" and not message.get("more_body", False) and len(first) <= limit:
        await share.take(len(first))
        return first
    content = bytearray()  # grows without being copied
    while message["type"] != "http.disconnect":
        content += message.get("body", b"")
        if len(content) > limit:
            raise body_too_large()
        await share.take(len(content) - share.taken)
        if not message.get("more_body", False):
            return content
        message = await receive()
    raise ClientGone


def check(payload: Payload) -> None:
    """Check that a body which is ignored is well-formed all the same. Raises Refusal."""
    if payload.kind == "json":
        _decode(_any, payload.content)


def decode(decoder: Decoder[Any], payload: Payload) -> Any:
    """The decoded body of an endpoint. Raises Refusal."""
    if payload.kind != "json":
        received = {"none": "null", "text": "string", "bytes": "bytes"}[payload.kind]
        raise unacceptable(f"body/ Invalid input: expected object, received {received}")
    data = _decode(decoder, payload.content)
    if rb"\u0000" in payload.content and _holds_nul(msgspec.to_builtins(data, builtin_types=(Raw,))):
        raise unacceptable(f"body/ {NUL}")
    return data


def _decode(decoder: Decoder[Any], content: bytes | bytearray) -> Any:
    if not is_cheap(content):
        raise body_too_large()
    try:
        return decoder.decode(content)
    except ValidationError as error:
        if decoder is not _any:
            _decode(_any, content)  # what is not JSON at all is reported as malformed
        raise unacceptable(body_problem(str(error))) from None
    except (ValueError, RecursionError) as error:
        mended = mend(bytes(content))
        if mended == content:
            raise malformed(str(error)) from None
    return _decode(decoder, mended)


def _holds_nul(value: object) -> bool:
    """Of what is unparsed, that is up to those who parse it."""
    match value:
        case str():
            return "\0" in value
        case list():
            return any(map(_holds_nul, value))
        case dict():
            return any(_holds_nul(item) for pair in value.items() for item in pair)
        case _:
            return False
