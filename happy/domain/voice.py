"""Limits of voice conversations per account, in seconds and number (protocol: http#voice)."""

import re
from typing import Any, Literal

import msgspec
from msgspec import Struct

from happy.domain.encoding import decode_lenient
from happy.domain.errors import Invalid
from happy.domain.values import HOUR, Millis
from happy.limits import limit

FREE_SECONDS = 1_200
MAX_SECONDS = limit(
    18_000,
    "s of voice conversations in 30 days, with a subscription",
    per="account",
    then="refused with the reason `voice_hard_limit_reached`",
)
MAX_CONVERSATIONS = limit(
    100,
    "voice conversations in 30 days",
    per="account",
    then="refused with the reason `voice_conversation_limit_reached`",
)
WINDOW = Millis(30 * 24 * HOUR)
"""The window in which usage counts, in ms."""

Reason = Literal["voice_conversation_limit_reached", "voice_hard_limit_reached", "subscription_required"]

CONVERSATION = re.compile(r"conv_[a-zA-Z0-9]+")


class VoiceUsage(Struct, frozen=True):
    """Usage of an account within the window."""

    seconds: int | float = 0
    conversations: int = 0


class _Video(Struct, frozen=True):
    room: Any = None


class _Claims(Struct, frozen=True):
    video: _Video | None = None


def exhausted(usage: VoiceUsage) -> Reason | None:
    """The hard limit that has been reached, if one has; no subscription lifts it."""
    if usage.conversations >= MAX_CONVERSATIONS:
        return "voice_conversation_limit_reached"
    if usage.seconds >= MAX_SECONDS:
        return "voice_hard_limit_reached"
    return None


def beyond_free(usage: VoiceUsage) -> bool:
    return usage.seconds >= FREE_SECONDS


def conversation_id(token: str) -> str | None:
    """The id of the conversation that a token of the voice provider is for. Raises Invalid."""
    try:
        payload = decode_lenient(token.split(".")[1])
        claims = msgspec.json.decode(payload, type=_Claims)
    except (IndexError, ValueError, RecursionError) as error:
        raise Invalid("Not a conversation token") from error
    room = claims.video.room if claims.video else None
    match = CONVERSATION.search(room) if isinstance(room, str) else None
    return match[0] if match else None
