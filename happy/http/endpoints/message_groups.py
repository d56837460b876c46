"""Messages of a request that is too long to be held whole, in groups that are stored one after the other.

A command-line client that was offline posts 50 messages at once, and repeats exactly these until it succeeds:
a refusal would stop its session for good. Such a body is as clients write it: `{"messages":[{...},{...}]}`.
"""

import re
from collections.abc import AsyncIterator
from typing import Annotated, Final

import msgspec
from msgspec import Meta, Raw, Struct
from msgspec.json import Decoder

from happy.domain.json_text import MAX_DELIMITERS, is_cheap
from happy.domain.names import MAX_NAME
from happy.domain.sessions import content_as_sent, encrypted_content
from happy.http.framework.errors import body_too_large, malformed, unacceptable
from happy.http.framework.limits import MAX_MESSAGES_BODY
from happy.http.framework.long_body import LongBody
from happy.http.framework.validation import NUL, body_problem
from happy.limits import limit

GROUP_BYTES = 4 * 1024 * 1024
"""Messages are stored together until they have as many bytes."""

MAX_MESSAGES = limit(100, "messages of one request", per="request", then="400")


class NewMessage(Struct, rename="camel"):
    """`content` is a string. It is stored and sent on as it was sent, and not decoded: it may be large."""

    content: Annotated[Raw, Meta(extra_json_schema={"type": "string"})]
    local_id: Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]


Content = tuple[str, bytes]
"""Local id and content of a message."""

_BEGIN = re.compile(rb'\s*\{\s*"messages"\s*:\s*\[\s*')
_BEFORE = re.compile(rb"\s*(?:,\s*)?(?=\{)")
_END = re.compile(rb"\s*\]\s*\}\s*\Z")
_MARK = re.compile(rb'["{}\[\]]')
_LONGEST_GAP: Final = 64
"""Bytes around messages that may be whitespace."""

UNEXPECTED: Final = "the body is not a list of messages in JSON"

_decoder = Decoder(NewMessage)


class MessageSplitter:
    """Takes the text in any pieces; gives the messages that are complete."""

    def __init__(self) -> None:
        self._text = bytearray()
        self._scanned = 0  # up to here the text is known
        self._depth = 0  # of braces and brackets in the message; 0 between messages
        self._in_string = False
        self._marks = 0
        self._count = 0
        self._begun = False

    @property
    def held(self) -> int:
        """Bytes of what is not complete."""
        return len(self._text)

    def feed(self, chunk: bytes) -> list[Content]:
        """The messages that it completes. Raises Refusal."""
        self._text += chunk
        messages = []
        while self._is_in_message() and (end := self._end_of_message()):
            messages.append(self._take(end))
        if len(self._text) > MAX_MESSAGES_BODY:
            raise body_too_large()
        return messages

    def finish(self) -> None:
        """Raises Refusal if that was not all."""
        if self._depth or not self._begun or not _END.match(self._text):
            raise malformed(UNEXPECTED)

    def _is_in_message(self) -> bool:
        if self._depth:
            return True
        before = (_BEFORE if self._begun else _BEGIN).match(self._text)
        if before is None:
            if len(self._text) > _LONGEST_GAP:
                raise malformed(UNEXPECTED)
            return False
        del self._text[: before.end()]
        if not self._begun:
            self._begun = True
            return self._is_in_message()
        self._depth, self._scanned, self._marks = 1, 1, 0
        return True

    def _end_of_message(self) -> int:
        """0 if it is to come."""
        while self._depth:
            at = self._text.find(b'"', self._scanned) if self._in_string else self._next_mark()
            if at < 0:
                self._scanned = len(self._text)
                return 0
            self._scanned = at + 1
            self._marks += 1
            if self._marks > MAX_DELIMITERS:
                raise body_too_large()
            self._pass(at)
        return self._scanned

    def _next_mark(self) -> int:
        found = _MARK.search(self._text, self._scanned)
        return -1 if found is None else found.start()

    def _pass(self, at: int) -> None:
        match self._text[at : at + 1]:
            case b'"':
                if not self._in_string or not self._is_escaped(at):
                    self._in_string = not self._in_string
            case b"{" | b"[":
                self._depth += 1
            case _:
                self._depth -= 1

    def _is_escaped(self, at: int) -> bool:
        begin = at
        while self._text[begin - 1 : begin] == b"\\":
            begin -= 1
        return (at - begin) % 2 == 1

    def _take(self, end: int) -> Content:
        if end > MAX_MESSAGES_BODY:
            raise body_too_large()
        text = bytes(self._text[:end])
        del self._text[:end]
        self._count += 1
        if self._count > MAX_MESSAGES:
            problem = f"Expected `array` of length <= {MAX_MESSAGES} - at `$.messages`"
            raise unacceptable(body_problem(problem))
        return _content(text)


def _content(text: bytes) -> Content:
    if not is_cheap(text):
        raise body_too_large()
    try:
        message = _decoder.decode(text)
        try:
            return message.local_id, content_as_sent(message.content)
        except ValueError:
            content = msgspec.json.decode(message.content, type=str)
    except msgspec.ValidationError as error:
        raise unacceptable(body_problem(str(error))) from None
    except (ValueError, RecursionError):
        raise malformed(UNEXPECTED) from None
    if "\0" in content or "\0" in message.local_id:
        raise unacceptable(f"body/ {NUL}")
    return message.local_id, encrypted_content(content)


async def message_groups(body: LongBody) -> AsyncIterator[list[Content]]:
    """Messages of some MB at a time. Raises Refusal and ClientGone, when former ones were stored."""
    splitter, group, size, arrived = MessageSplitter(), list[Content](), 0, 0
    async for chunk in body.chunks():
        arrived += len(chunk)
        found = splitter.feed(chunk)
        group += found
        size += sum(len(content) for _, content in found)
        if size >= GROUP_BYTES:
            yield group
            group, size = [], 0
            body.used(arrived - splitter.held)
            arrived = splitter.held
    splitter.finish()
    if group:
        yield group
