"""Push notifications about a session to an account's devices.

protocol: http#push, realtime#push-suppression
"""

import asyncio
import logging

from happy.domain.errors import HappyError, NotFound
from happy.domain.events import SessionEvent, to_session
from happy.domain.ports.clock import Clock
from happy.domain.ports.events import EventSink
from happy.domain.ports.outbound import PushSender
from happy.domain.ports.presence import FOREGROUND, Presence
from happy.domain.ports.store import Store, Transaction
from happy.domain.push import (
    NO_TOKENS,
    SUPPRESSED,
    EventKind,
    Notification,
    PushOutcome,
    Ticket,
    event_data,
    failed,
    outcome_of,
)
from happy.domain.values import AccountId, SessionId
from happy.limits import limit
from happy.services.account_slots import AccountSlots
from happy.services.rate_limit import AccountLimit

PRESENCE_SECONDS = 2.0
SEND_SECONDS = 8.0
"""Timeout for all devices together: clients wait 15 s for the response."""

MAX_SENDING = limit(
    4,  # each takes some ms of the event loop
    "push notifications that are sent at once",
    per="account and replica",
    then="they wait for 8 s at most: `failed`",
)
TOO_MANY = "Too many push notifications. Try again in a minute."

log = logging.getLogger(__name__)


class PushService:
    def __init__(
        self,
        store: Store,
        sink: EventSink,
        presence: Presence,
        sender: PushSender,
        clock: Clock,
        pushes: AccountLimit,
    ) -> None:
        self._store = store
        self._sink = sink
        self._presence = presence
        self._sender = sender
        self._clock = clock
        self._pushes = pushes
        self._sending = AccountSlots(MAX_SENDING, SEND_SECONDS)

    async def session_event(
        self,
        account_id: AccountId,
        session_id: SessionId,
        kind: EventKind,
        notification: Notification,
    ) -> PushOutcome:
        """Announce the event and push it, unless the app is in the foreground.

        Raises only NotFound and TooMany.
        """
        self._pushes.take(account_id, text=TOO_MANY)
        if await self._store.read(lambda tx: tx.sessions.get(account_id, session_id)) is None:
            raise NotFound("Session not found")
        event = SessionEvent(session_id, kind, notification.title, notification.body, self._clock())
        self._sink.publish(account_id, event, to_session(session_id))
        data = event_data(session_id, notification.data, kind)
        try:
            return await self._push(account_id, Notification(notification.title, notification.body, data))
        except HappyError as error:
            log.warning("a notification could not be pushed", exc_info=error)
            return failed(str(error))
        except Exception:
            log.exception("a notification could not be pushed")
            return failed("Internal error")

    async def _push(self, account_id: AccountId, notification: Notification) -> PushOutcome:
        if await self._is_foreground(account_id):
            return SUPPRESSED
        stored = await self._store.read(lambda tx: tx.accounts.push_tokens(account_id))
        if not stored:
            return NO_TOKENS
        tokens = [each.token for each in stored]
        async with self._sending.slot(account_id):
            tickets = await self._sender.send(notification, tokens, SEND_SECONDS)
        await self._forget_dead(account_id, tokens, tickets)
        return outcome_of(tickets)

    async def _is_foreground(self, account_id: AccountId) -> bool:
        """Whether an app is in the foreground; False on a timeout: better one notification too many."""
        try:
            async with asyncio.timeout(PRESENCE_SECONDS):
                return bool(await self._presence.holders(account_id, FOREGROUND))
        except Exception:
            log.warning("presence could not be looked up", exc_info=True)
            return False

    async def _forget_dead(self, account_id: AccountId, tokens: list[str], tickets: list[Ticket]) -> None:
        dead = [token for token, ticket in zip(tokens, tickets, strict=True) if ticket.gone]
        if not dead:
            return

        async def drop(tx: Transaction) -> None:
            for token in dead:
                await tx.accounts.drop_push_token(account_id, token)

        try:
            await self._store.write(drop)
        except HappyError as error:  # the next notification tries again
            log.warning("dead push tokens were left behind", exc_info=error)
