"""Append messages to a session and page through them (protocol: http#messages)."""

from asyncio import CancelledError
from collections.abc import Sequence

from happy.domain.errors import CommitInDoubt
from happy.domain.events import NewMessage, Update, to_session
from happy.domain.ids import new_id, update_id
from happy.domain.listing import Large
from happy.domain.ports.clock import Clock
from happy.domain.ports.events import EventSink
from happy.domain.ports.store import Store
from happy.domain.sessions import Appended, Message, MessageDraft, MessagePage
from happy.domain.values import AccountId, ConnectionId, MessageId, Millis, SessionId
from happy.services.quotas import QuotaService

LEGACY_PAGE = 150


class MessageService:
    def __init__(
        self, store: Store, sink: EventSink, clock: Clock, quotas: QuotaService | None = None
    ) -> None:
        self._log = store.messages
        self._sink = sink
        self._clock = clock
        self._quotas = quotas or QuotaService(store)

    async def append(
        self,
        account_id: AccountId,
        session_id: SessionId,
        contents: Sequence[tuple[str | None, bytes]],
        *,
        skip: ConnectionId | None = None,
    ) -> list[Message]:
        """Store pairs of local id and content; announce the new ones; return all rows in ascending `seq`.

        Idempotent: a local id that is stored already returns its row and is not announced again.
        `skip` is the sender's connection, which does not receive its own message. Raises NotFound,
        OverQuota.
        """
        size = 0
        if self._quotas.counts:
            size = sum(len(content) for _, content in contents)
            self._quotas.admit_bytes(account_id, size)
        now = self._clock()
        self._sink.begin_commit(account_id)
        try:
            appended = await self._log.append(account_id, session_id, _drafts(contents, now), now)
            self._announce(account_id, session_id, appended, now, skip)
            if self._quotas.counts:
                self._quotas.add(account_id, session_id, size if appended.created else 0)
        except (CommitInDoubt, CancelledError):
            self._sink.in_doubt(account_id)
            raise
        finally:
            self._sink.end_commit(account_id)
        if len(appended.created) == 1 and not appended.existing:
            return appended.created
        return sorted(appended.existing + appended.created, key=lambda message: message.seq)

    def _announce(
        self,
        account_id: AccountId,
        session_id: SessionId,
        appended: Appended,
        now: Millis,
        skip: ConnectionId | None,
    ) -> None:
        first = appended.update_seq - len(appended.created) + 1
        audience = to_session(session_id)
        for seq, message in enumerate(appended.created, start=first):
            update = Update(update_id(), seq, NewMessage(session_id, message), now)
            self._sink.publish(account_id, update, audience, skip=skip)

    async def after(self, account_id: AccountId, session_id: SessionId, seq: int, limit: int) -> MessagePage:
        """Messages after `seq`, the oldest first. Raises NotFound."""
        return _page(await self._log.after(account_id, session_id, seq, limit + 1), limit)

    async def before(self, account_id: AccountId, session_id: SessionId, seq: int, limit: int) -> MessagePage:
        """Messages ahead of `seq`, the newest first. Raises NotFound."""
        return _page(await self._log.before(account_id, session_id, seq, limit + 1), limit)

    async def one(self, account_id: AccountId, session_id: SessionId, seq: int) -> Message | None:
        return await self._log.one(account_id, session_id, seq)

    async def newest(self, account_id: AccountId, session_id: SessionId) -> list[Message | Large]:
        """What clients of the legacy endpoint read: the newest 150. Raises NotFound."""
        return await self._log.newest(account_id, session_id, LEGACY_PAGE)


def _drafts(contents: Sequence[tuple[str | None, bytes]], now: Millis) -> list[MessageDraft]:
    """The first of several equal local ids wins; an empty one counts as none."""
    seen: set[str] = set()
    drafts = []
    for local_id, content in contents:
        if local_id and local_id in seen:
            continue
        if local_id:
            seen.add(local_id)
        drafts.append(MessageDraft(MessageId(new_id(now)), local_id or None, content))
    return drafts


def _page(rows: list[Message | Large], limit: int) -> MessagePage:
    return MessagePage(rows[:limit], has_more=len(rows) > limit)
