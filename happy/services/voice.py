"""Voice conversations of accounts, within their limits (protocol: http#voice)."""

import logging
from typing import Literal

from msgspec import Struct

from happy.crypto import Keyring
from happy.domain.errors import HappyError
from happy.domain.ports.clock import Clock
from happy.domain.ports.outbound import Subscriptions, Voice
from happy.domain.values import AccountId, Millis
from happy.domain.voice import (
    FREE_SECONDS,
    MAX_CONVERSATIONS,
    MAX_SECONDS,
    WINDOW,
    Reason,
    VoiceUsage,
    beyond_free,
    conversation_id,
    exhausted,
)

log = logging.getLogger(__name__)


class VoiceFailed(Exception):
    """The request failed; the message is for the client (protocol: http#voice)."""


class Denied(Struct, frozen=True, rename="camel"):
    reason: Reason
    used_seconds: int | float
    limit_seconds: int
    agent_id: str
    allowed: Literal[False] = False


class Allowed(Struct, frozen=True, rename="camel"):
    conversation_token: str
    conversation_id: str
    agent_id: str
    eleven_user_id: str
    used_seconds: int | float
    limit_seconds: int
    allowed: Literal[True] = True


class VoiceReport(Struct, frozen=True, rename="camel"):
    used_seconds: int | float
    limit_seconds: int
    conversation_count: int
    eleven_user_id: str
    conversation_limit: int = MAX_CONVERSATIONS


class VoiceService:
    """`voice` None: not configured. `subscriptions` None: none is needed, unless `require_subscription`."""

    def __init__(
        self,
        voice: Voice | None,
        subscriptions: Subscriptions | None,
        keys: Keyring,
        clock: Clock,
        *,
        require_subscription: bool = False,
    ) -> None:
        self._voice = voice
        self._subscriptions = subscriptions
        self._keys = keys
        self._clock = clock
        self._required = require_subscription

    async def start(self, account_id: AccountId, agent_id: str) -> Allowed | Denied:
        """Begin a conversation, if the account may. Raises VoiceFailed."""
        voice = self._configured()
        if self._subscriptions is None and self._required:
            raise VoiceFailed("REVENUECAT_API_KEY not configured")
        voice_user = self._keys.voice_user_id(account_id)
        usage = await self._usage(voice, voice_user)
        reason = exhausted(usage)
        if reason is not None:
            return Denied(reason, usage.seconds, MAX_SECONDS, agent_id)
        if beyond_free(usage) and not await self._subscribed(account_id):
            return Denied("subscription_required", usage.seconds, FREE_SECONDS, agent_id)
        token, conversation = await _mint(voice, agent_id, voice_user)
        limit = MAX_SECONDS if beyond_free(usage) else FREE_SECONDS
        return Allowed(token, conversation, agent_id, voice_user, usage.seconds, limit)

    async def report(self, account_id: AccountId) -> VoiceReport:
        """Usage and limit of the account. Raises VoiceFailed."""
        voice = self._configured()
        voice_user = self._keys.voice_user_id(account_id)
        try:
            usage = await voice.usage(voice_user, self._window())
        except HappyError as error:
            log.warning("voice usage could not be looked up", exc_info=error)
            raise VoiceFailed("Failed to get voice usage") from error
        limit = MAX_SECONDS if await self._unlocked(account_id, usage) else FREE_SECONDS
        return VoiceReport(usage.seconds, limit, usage.conversations, voice_user)

    def _configured(self) -> Voice:
        if self._voice is None:
            raise VoiceFailed("ELEVENLABS_API_KEY not configured")
        return self._voice

    def _window(self) -> Millis:
        return Millis(self._clock() - WINDOW)

    async def _usage(self, voice: Voice, voice_user: str) -> VoiceUsage:
        """Zero when the provider does not respond, so that a failure denies no conversation."""
        try:
            return await voice.usage(voice_user, self._window())
        except HappyError as error:
            log.warning("voice usage could not be looked up", exc_info=error)
            return VoiceUsage()

    async def _subscribed(self, account_id: AccountId) -> bool:
        return self._subscriptions is None or await self._subscriptions.active(account_id)

    async def _unlocked(self, account_id: AccountId, usage: VoiceUsage) -> bool:
        """Whether the higher limit applies. Without a subscription provider it does when needed."""
        if self._subscriptions is None:
            return not self._required and beyond_free(usage)
        return await self._subscriptions.active(account_id)


async def _mint(voice: Voice, agent_id: str, voice_user: str) -> tuple[str, str]:
    """A conversation token and the conversation it is for. Raises VoiceFailed."""
    try:
        token = await voice.conversation_token(agent_id, voice_user)
        conversation = conversation_id(token)
    except HappyError as error:
        log.warning("no voice conversation could be started", exc_info=error)
        raise VoiceFailed("Failed to get voice credentials") from error
    if conversation is None:
        raise VoiceFailed("Failed to get conversation ID")
    return token, conversation
