"""Sessions: list, create, archive and delete (protocol: http#sessions)."""

from functools import partial
from typing import Annotated, TypeVar

from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Struct

from happy.domain.errors import Invalid
from happy.domain.listing import Large, is_whole
from happy.domain.names import Name
from happy.domain.sessions import Session
from happy.domain.values import Millis, SessionId
from happy.http.endpoints.common import Done, optional_key
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.errors import Failure
from happy.http.framework.limits import MAX_DOCUMENT_BODY
from happy.http.framework.listing import ListResponse, Load
from happy.http.framework.requests import ApiRequest
from happy.services.sessions import SessionService

CURSOR_PREFIX = "cursor_v1_"
LAST_DATE = 8_640_000_000_000_000
"""The greatest time in ms that JavaScript and the databases can hold."""


class SessionItem(Struct, rename="camel"):
    """A session in lists. Its tag is not sent to clients."""

    id: SessionId
    seq: int
    created_at: Millis
    updated_at: Millis
    active: bool
    active_at: Millis
    metadata: str
    metadata_version: int
    agent_state: str | None
    agent_state_version: int
    data_encryption_key: bytes | None


class SessionWithLastMessage(SessionItem, rename="camel"):
    """The older format: clients require the property, no server fills it."""

    last_message: None = None


Item = TypeVar("Item", bound=SessionItem)


class RecentSessions(Struct):
    sessions: list[SessionWithLastMessage]


class ActiveSessions(Struct):
    sessions: list[SessionItem]


class SessionPage(Struct, rename="camel"):
    sessions: list[SessionItem]
    next_cursor: str | None
    has_next: bool


class CreateSession(Struct, rename="camel"):
    """`agentState` is accepted and ignored: clients send it and then set it with version 0."""

    tag: Name
    metadata: str
    agent_state: str | None = None
    data_encryption_key: str | None = None


class OneSession(Struct):
    session: SessionWithLastMessage


class SessionEndpoints:
    def __init__(self, sessions: SessionService) -> None:
        self._sessions = sessions

    def endpoints(self) -> list[Endpoint]:
        one = "/v1/sessions/{session_id:str}"
        foreign = "Session not found or not owned by user"
        full = Failure("This account may have 1000 sessions. Delete some to make more")
        return [
            Endpoint("GET", "/v1/sessions", self.recent),
            Endpoint("GET", "/v2/sessions/active", self.active),
            Endpoint("GET", "/v2/sessions", self.page),
            Endpoint(
                "POST",
                "/v1/sessions",
                self.load_or_create,
                limit=MAX_DOCUMENT_BODY,
                other_responses={507: full},
            ),
            Endpoint("POST", f"{one}/archive", self.archive, missing="Session not found"),
            Endpoint("DELETE", one, self.delete, missing=foreign),
        ]

    async def recent(self, request: ApiRequest) -> RecentSessions | ListResponse[Session]:
        """The 150 sessions updated last, in the older format."""
        sessions = await self._sessions.recent(request.account_id)
        if is_whole(sessions):
            return RecentSessions([_with_last_message(session) for session in sessions])
        return ListResponse(RecentSessions([]), sessions, _with_last_message, self._one_of(request))

    async def active(
        self, request: ApiRequest, limit: Annotated[int, QueryParameter(ge=1, le=500)] = 150
    ) -> ActiveSessions | ListResponse[Session]:
        """Active sessions that were seen within the last 15 minutes, the last seen first."""
        sessions = await self._sessions.active(request.account_id, limit)
        if is_whole(sessions):
            return ActiveSessions([_item(session) for session in sessions])
        return ListResponse(ActiveSessions([]), sessions, _item, self._one_of(request))

    async def page(
        self,
        request: ApiRequest,
        cursor: Annotated[str | None, QueryParameter()] = None,
        limit: Annotated[int, QueryParameter(ge=1, le=200)] = 50,
        changed_since: Annotated[int | None, QueryParameter(name="changedSince", ge=1, le=LAST_DATE)] = None,
    ) -> SessionPage | ListResponse[Session]:
        """Sessions by id, the newest first, page by page, or those changed since a time."""
        since = None if changed_since is None else Millis(changed_since)
        rows, has_next = await self._sessions.page(request.account_id, _before(cursor), since, limit)
        next_cursor = f"{CURSOR_PREFIX}{_id(rows[-1])}" if has_next else None
        if is_whole(rows):
            return SessionPage([_item(session) for session in rows], next_cursor, has_next)
        return ListResponse(SessionPage([], next_cursor, has_next), rows, _item, self._one_of(request))

    def _one_of(self, request: ApiRequest) -> Load[Session]:
        return partial(self._sessions.get, request.account_id)

    async def load_or_create(self, request: ApiRequest, data: JSONBody[CreateSession]) -> OneSession:
        """Make a session under a tag of the caller; one that exists is returned unchanged."""
        session = await self._sessions.load_or_create(
            request.account_id, data.tag, data.metadata, optional_key(data.data_encryption_key)
        )
        return OneSession(_with_last_message(session))

    async def archive(self, request: ApiRequest, session_id: FromPath[SessionId]) -> Done:
        """Stop a session: it is shown as inactive, and its late heartbeats are ignored."""
        await self._sessions.archive(request.account_id, session_id)
        return Done()

    async def delete(self, request: ApiRequest, session_id: FromPath[SessionId]) -> Done:
        """Delete a session with its messages, attachments and access keys."""
        await self._sessions.delete(request.account_id, session_id)
        return Done()


def _before(cursor: str | None) -> SessionId | None:
    """The id a page ends before. No cursor, and one without an id, begin with the newest session."""
    if not cursor:
        return None
    if not cursor.startswith(CURSOR_PREFIX):
        raise Invalid("Invalid cursor format")
    return SessionId(cursor.removeprefix(CURSOR_PREFIX)) or None


def _id(row: Session | Large) -> str | int:
    return row.key if isinstance(row, Large) else row.id


def _item(session: Session) -> SessionItem:
    return _shown_as(SessionItem, session)


def _with_last_message(session: Session) -> SessionWithLastMessage:
    return _shown_as(SessionWithLastMessage, session)


def _shown_as(shape: type[Item], session: Session) -> Item:
    """The only function that maps a session's fields to those of its responses."""
    return shape(
        id=session.id,
        seq=session.seq,
        created_at=session.created_at,
        updated_at=session.updated_at,
        active=session.active,
        active_at=session.last_active_at,
        metadata=session.metadata,
        metadata_version=session.metadata_version,
        agent_state=session.agent_state,
        agent_state_version=session.agent_state_version,
        data_encryption_key=session.data_encryption_key,
    )
