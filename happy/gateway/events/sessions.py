"""Events about sessions (protocol: realtime#session-events)."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from happy.domain.errors import Invalid, NotFound, OverQuota, TooMany
from happy.domain.names import is_name
from happy.domain.ports.clock import Clock
from happy.domain.sessions import content_as_sent, encrypted_content
from happy.domain.values import SessionId
from happy.gateway.engine import Ack
from happy.gateway.events.acks import Answer, answer
from happy.gateway.events.large_answers import LargeAnswers, SwapAnswers
from happy.gateway.events.payloads import (
    SendMessage,
    SessionAlive,
    SessionEnd,
    UpdateMetadata,
    UpdateState,
    millis,
    parse,
    version,
)
from happy.gateway.hub import Connection, Handler
from happy.gateway.in_flight import Key
from happy.gateway.throttle import handle_later, take_one
from happy.services.activity import Activity
from happy.services.attendance import Target
from happy.services.heartbeats import clamp
from happy.services.messages import MessageService
from happy.services.rate_limit import RateLimits
from happy.services.sessions import SessionService

Payload = msgspec.Raw | None
ERROR = {"result": "error"}


class SessionEvents:
    def __init__(
        self,
        sessions: SessionService,
        messages: MessageService,
        activity: Activity,
        clock: Clock,
        answers: LargeAnswers,
        limits: RateLimits | None = None,
    ) -> None:
        self._sessions = sessions
        self._messages = messages
        self._activity = activity
        self._clock = clock
        self._answers = answers
        limits = limits or RateLimits()
        self._limit = limits.messages
        self._heartbeats = limits.heartbeats

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "message": self.message,
            "update-metadata": self.update_metadata,
            "update-state": self.update_state,
            "session-alive": self.alive,
            "session-end": self.end,
        }

    def message(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        """Append a message to the log, publish it to all connections but its sender, acknowledge it.

        The next message does not wait for this commit. Messages and acknowledgements keep their order. One
        too many is refused in its acknowledgement; without one, it and what follows wait for its turn.
        """
        sent, ordered = parse(payload, SendMessage), connection.in_flight.in_order(ack)
        content = None if sent is None else _content(sent.message)
        local_id = sent.local_id if sent is not None and isinstance(sent.local_id, str) else None
        if sent is None or content is None or (local_id and (not is_name(local_id) or "\0" in local_id)):
            answer(ordered, ok=False, error="Invalid parameters")
            return None
        session_id, allowance = SessionId(sent.sid), connection.allowance
        if allowance.messages:
            allowance.messages -= 1
            return self._store(connection, session_id, local_id, content, ordered)
        store = partial(self._store, connection, session_id, local_id, content, ordered)
        return self._store_if_allowed(connection, store, ordered)

    def _store_if_allowed(
        self, connection: Connection, store: Callable[[], Awaitable[None] | None], ack: Answer | None
    ) -> Awaitable[None] | None:
        account_id, socket = connection.account_id, connection.socket
        try:
            taken = self._limit.take_portion(account_id, lambda: socket.client_address)
        except TooMany as refusal:
            if ack is None:
                wait = self._limit.reserve(account_id, 1, lambda: socket.client_address)
                return handle_later(wait, store) if wait else store()
            answer(ack, ok=False, error=str(refusal))
            return None
        connection.allowance.messages = taken - 1
        return store()

    def _store(
        self,
        connection: Connection,
        session_id: SessionId,
        local_id: str | None,
        content: bytes,
        ack: Answer | None,
    ) -> Awaitable[None] | None:
        work = self._append(connection, session_id, local_id, content, ack)
        return connection.in_flight.overlap(key(session_id), work, len(content))

    async def _append(
        self,
        connection: Connection,
        session_id: SessionId,
        local_id: str | None,
        content: bytes,
        ack: Answer | None,
    ) -> None:
        try:
            (stored,) = await self._messages.append(
                connection.account_id, session_id, [(local_id, content)], skip=connection.id
            )
        except NotFound:
            return answer(ack, ok=False, error="Session not found")
        except OverQuota as refusal:
            return answer(ack, ok=False, error=str(refusal))
        except Invalid:  # a local id that cannot be stored
            return answer(ack, ok=False, error="Invalid parameters")
        except BaseException:
            answer(ack, ok=False, error="Internal error")
            raise
        return answer(ack, ok=True, id=stored.id, seq=stored.seq, localId=stored.local_id)

    def update_metadata(
        self, connection: Connection, payload: Payload, ack: Ack | None
    ) -> Awaitable[None] | None:
        request = parse(payload, UpdateMetadata)
        if request is None or not request.sid:
            answer(ack, **ERROR)
            return None
        change = partial(
            self._sessions.update_metadata,
            connection.account_id,
            SessionId(request.sid),
            version(request.expected_version),
            request.metadata,
        )
        answers, size = SwapAnswers(ack, "metadata", ERROR, ERROR), len(request.metadata)
        return self._answers.swap(connection, key(request.sid), change, answers, size)

    def update_state(
        self, connection: Connection, payload: Payload, ack: Ack | None
    ) -> Awaitable[None] | None:
        request = parse(payload, UpdateState)
        if request is None or not request.sid:
            answer(ack, **ERROR)
            return None
        change = partial(
            self._sessions.update_agent_state,
            connection.account_id,
            SessionId(request.sid),
            version(request.expected_version),
            request.agent_state,
        )
        answers, size = SwapAnswers(ack, "agentState", ERROR, ERROR), len(request.agent_state or "")
        return self._answers.swap(connection, key(request.sid), change, answers, size)

    def alive(
        self,
        connection: Connection,
        payload: Payload,
        ack: Ack | None,  # noqa: ARG002
    ) -> Awaitable[None] | None:
        beat = parse(payload, SessionAlive)
        if beat is None or not beat.sid or not take_one(self._heartbeats, connection, "heartbeats"):
            return None
        account_id, sid, at = connection.account_id, SessionId(beat.sid), millis(beat.time)
        thinking = bool(beat.thinking)
        if self._activity.known_session_alive(account_id, sid, at, thinking=thinking):
            if connection.target != sid:
                self._activity.attend(Target(account_id, "session", sid), connection.id)
            return None
        return self._activity.session_alive(account_id, sid, at, thinking=thinking)

    def end(
        self,
        connection: Connection,
        payload: Payload,
        ack: Ack | None,  # noqa: ARG002
    ) -> Awaitable[None] | None:
        ended = parse(payload, SessionEnd)
        if ended is None or not ended.sid:
            return None
        return connection.in_flight.follow(key(ended.sid), self._end(connection, ended))

    async def _end(self, connection: Connection, ended: SessionEnd) -> None:
        at = clamp(millis(ended.time), self._clock())
        try:
            await self._sessions.stop(connection.account_id, SessionId(ended.sid), at)
        except NotFound:
            return


def _content(message: msgspec.Raw) -> bytes | None:
    """The content object of a message; None if it is no text that can be stored."""
    try:
        return content_as_sent(message)
    except ValueError:
        pass
    try:
        text = msgspec.json.decode(message, type=str)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return None if "\0" in text else encrypted_content(text)


def key(session_id: str) -> Key:
    """Events of one connection with the same key are processed in order."""
    return ("session", session_id)
