"""Messages of a session: append and page (protocol: http#messages)."""

import re
from functools import partial
from typing import Annotated

import msgspec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta, Struct
from msgspec.json import Decoder

from happy.domain.listing import Large, is_whole
from happy.domain.sessions import Message, content_as_sent, encrypted_content
from happy.domain.values import MessageId, Millis, SessionId
from happy.http.endpoints.message_groups import MAX_MESSAGES, NewMessage, message_groups
from happy.http.framework import body
from happy.http.framework.body import Payload
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure, unacceptable
from happy.http.framework.limits import MAX_LONG_MESSAGES_BODY, MAX_MESSAGES_BODY
from happy.http.framework.listing import ListResponse
from happy.http.framework.long_body import LongBodies, LongBody
from happy.http.framework.requests import ApiRequest
from happy.services.messages import MessageService
from happy.services.rate_limit import AccountLimit

MAX_SEQ = 2**31 - 1
"""Databases count messages in 32 bits. The app requests the latest page with exactly this `before_seq`."""

ADVANCES_CURSOR_BY_RECEIPTS = re.compile(r"cli-coding-session/1\.(?:[01]\.|2\.[0-4](?!\d))")
"""Clients that take the `seq` of their own posted messages for their read cursor. They would never fetch a
prompt that was stored just before those during a disconnect, so they get updates of both."""


class Append(Struct):
    messages: Annotated[list[NewMessage], Meta(min_length=1, max_length=MAX_MESSAGES)]


class _DecodedMessage(Struct, rename="camel"):
    content: str
    local_id: str


class _Decoded(Struct):
    messages: list[_DecodedMessage]


_decoder = Decoder(_Decoded)


class Receipt(Struct, rename="camel"):
    """The stored message without its content, which its sender has."""

    id: MessageId
    seq: int
    local_id: str | None
    created_at: Millis
    updated_at: Millis


class Receipts(Struct):
    messages: list[Receipt]


class Messages(Struct):
    messages: list[Message]


class MessagesPage(Struct, rename="camel"):
    messages: list[Message]
    has_more: bool


class MessageEndpoints:
    def __init__(self, messages: MessageService, limit: AccountLimit) -> None:
        self._messages = messages
        self._limit = limit

    def endpoints(self) -> list[Endpoint]:
        path = "/sessions/{session_id:str}/messages"
        foreign, often = (
            "Session not found",
            {
                429: Failure("Too many messages. Try again in 1 s."),
                507: Failure("This account may store 1000000000 bytes. Delete sessions to make room"),
            },
        )
        return [
            Endpoint("GET", f"/v3{path}", self.page, missing=foreign),
            Endpoint(
                "POST",
                f"/v3{path}",
                self.append,
                missing=foreign,
                limit=MAX_MESSAGES_BODY,
                long_bodies=LongBodies(MAX_LONG_MESSAGES_BODY, Append([])),
                other_responses=often,
            ),
            Endpoint("GET", f"/v1{path}", self.newest, missing=foreign),
        ]

    async def page(
        self,
        request: ApiRequest,
        session_id: FromPath[SessionId],
        after_seq: Annotated[int | None, QueryParameter(ge=0)] = None,
        before_seq: Annotated[int | None, QueryParameter(ge=1)] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=500)] = 100,
    ) -> MessagesPage | ListResponse[Message]:
        """Messages after or before a number, which is their position in the session."""
        if before_seq is None:
            seq = min(after_seq or 0, MAX_SEQ)
            page = await self._messages.after(request.account_id, session_id, seq, limit)
        elif after_seq is None:
            seq = min(before_seq, MAX_SEQ)
            page = await self._messages.before(request.account_id, session_id, seq, limit)
        else:
            raise unacceptable("querystring/ after_seq and before_seq are mutually exclusive")
        if is_whole(page.messages):
            return MessagesPage(page.messages, page.has_more)
        return self._listed(MessagesPage([], page.has_more), page.messages, request, session_id)

    async def append(
        self, request: ApiRequest, session_id: FromPath[SessionId], data: JSONBody[Append]
    ) -> Receipts:
        """Append messages. One whose local id is stored already is answered, and not stored again."""
        if request.long_body is not None:
            receipts = await self._append_groups(request, session_id, request.long_body)
        else:
            receipts = await self._append(request, session_id, _contents(data))
        if ADVANCES_CURSOR_BY_RECEIPTS.match(request.headers.get("x-happy-client", "")):
            return Receipts([])
        return Receipts(receipts)

    async def _append(
        self, request: ApiRequest, session_id: SessionId, contents: list[tuple[str, bytes]]
    ) -> list[Receipt]:
        self._limit.take(request.account_id, len(contents), lambda: request.client_address)
        stored = await self._messages.append(request.account_id, session_id, contents)
        return [_receipt(message) for message in stored]

    async def _append_groups(
        self, request: ApiRequest, session_id: SessionId, long_body: LongBody
    ) -> list[Receipt]:
        """Each group by itself: what came before a failure is stored, and is found when it is repeated."""
        receipts: list[Receipt] = []
        async for group in message_groups(long_body):
            async with request.large_work():
                receipts += await self._append(request, session_id, group)
            group.clear()
        return receipts

    async def newest(
        self, request: ApiRequest, session_id: FromPath[SessionId]
    ) -> Messages | ListResponse[Message]:
        """The 150 newest messages, in the older format."""
        messages = await self._messages.newest(request.account_id, session_id)
        if is_whole(messages):
            return Messages(messages)
        return self._listed(Messages([]), messages, request, session_id)

    def _listed(
        self, around: Struct, rows: list[Message | Large], request: ApiRequest, session_id: SessionId
    ) -> ListResponse[Message]:
        load = partial(self._messages.one, request.account_id, session_id)
        return ListResponse(around, rows, lambda message: message, load)


def _contents(data: Append) -> list[tuple[str, bytes]]:
    """Pairs of local id and content. Raises Refusal. Empties `data`, so that the body is freed."""
    try:
        contents = [(message.local_id, content_as_sent(message.content)) for message in data.messages]
    except ValueError:
        sent = msgspec.json.encode(data)
        decoded: _Decoded = body.decode(_decoder, Payload("json", sent))  # says what is wrong, and where
        return [(message.local_id, encrypted_content(message.content)) for message in decoded.messages]
    data.messages.clear()
    return contents


def _receipt(message: Message) -> Receipt:
    return Receipt(
        id=message.id,
        seq=message.seq,
        local_id=message.local_id,
        created_at=message.created_at,
        updated_at=message.updated_at,
    )
