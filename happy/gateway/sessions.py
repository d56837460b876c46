"""Events about sessions (contract 02 section 5.2)."""

from collections.abc import Awaitable, Mapping

import msgspec

from happy.domain.errors import Invalid, NotFound
from happy.domain.ports.clock import Clock
from happy.domain.values import SessionId
from happy.gateway.answers import answer, answer_swap
from happy.gateway.engine import Ack
from happy.gateway.hub import Connection, Handler
from happy.gateway.payloads import (
    SendMessage,
    SessionAlive,
    SessionEnd,
    UpdateMetadata,
    UpdateState,
    millis,
    parse,
    version,
)
from happy.services.activity import Activity
from happy.services.heartbeats import clamp
from happy.services.messages import MessageService
from happy.services.sessions import SessionService

Payload = msgspec.Raw | None
ERROR = {"result": "error"}


class SessionEvents:
    def __init__(
        self, sessions: SessionService, messages: MessageService, activity: Activity, clock: Clock
    ) -> None:
        self._sessions = sessions
        self._messages = messages
        self._activity = activity
        self._clock = clock

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "message": self.message,
            "update-metadata": self.update_metadata,
            "update-state": self.update_state,
            "session-alive": self.alive,
            "session-end": self.end,
        }

    async def message(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:
        """Store a message and announce it to everybody but its sender; acknowledge it if asked to."""
        sent = parse(payload, SendMessage)
        if sent is None:
            return answer(ack, ok=False, error="Invalid parameters")
        local_id = sent.local_id if isinstance(sent.local_id, str) else None
        try:
            (stored,) = await self._messages.append(
                connection.account_id,
                SessionId(sent.sid),
                [(local_id, sent.message)],
                skip=connection.id,
            )
        except NotFound:
            return answer(ack, ok=False, error="Session not found")
        except Invalid:  # a local id that no database takes
            return answer(ack, ok=False, error="Invalid parameters")
        except BaseException:
            answer(ack, ok=False, error="Internal error")
            raise
        return answer(ack, ok=True, id=stored.id, seq=stored.seq, localId=stored.local_id)

    async def update_metadata(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:
        asked = parse(payload, UpdateMetadata)
        if asked is None or not asked.sid:
            return answer(ack, **ERROR)
        swap = self._sessions.update_metadata(
            connection.account_id, SessionId(asked.sid), version(asked.expected_version), asked.metadata
        )
        return await answer_swap(ack, "metadata", swap, missing=ERROR, failed=ERROR)

    async def update_state(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:
        asked = parse(payload, UpdateState)
        if asked is None or not asked.sid:
            return answer(ack, **ERROR)
        swap = self._sessions.update_agent_state(
            connection.account_id, SessionId(asked.sid), version(asked.expected_version), asked.agent_state
        )
        return await answer_swap(ack, "agentState", swap, missing=ERROR, failed=ERROR)

    def alive(
        self,
        connection: Connection,
        payload: Payload,
        ack: Ack | None,  # noqa: ARG002
    ) -> Awaitable[None] | None:
        beat = parse(payload, SessionAlive)
        if beat is None or not beat.sid:
            return None
        account_id, sid, at = connection.account_id, SessionId(beat.sid), millis(beat.time)
        thinking = bool(beat.thinking)
        if self._activity.known_session_alive(account_id, sid, at, thinking=thinking):
            return None
        return self._activity.session_alive(account_id, sid, at, thinking=thinking)

    async def end(self, connection: Connection, payload: Payload, ack: Ack | None) -> None:  # noqa: ARG002
        ended = parse(payload, SessionEnd)
        if ended is None or not ended.sid:
            return
        at = clamp(millis(ended.time), self._clock())
        try:
            await self._sessions.stop(connection.account_id, SessionId(ended.sid), at)
        except NotFound:
            return
