"""Services of other companies: push, GitHub, avatars, voice, subscriptions."""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from happy.domain.github import GithubUser
from happy.domain.push import Notification, Ticket
from happy.domain.values import AccountId, Millis
from happy.domain.voice import VoiceUsage


class PushSender(Protocol):
    async def send(self, notification: Notification, tokens: Sequence[str], seconds: float) -> list[Ticket]:
        """Send to every token within `seconds`; one ticket each, in order. Never raises HappyError."""
        ...


class GithubRefused(Exception):
    """GitHub did not accept the code; the message is GitHub's error code."""


class GithubUserUnknown(Exception):
    """GitHub returned no user for this token."""


class Github(Protocol):
    """Raises HappyError when GitHub cannot be reached or its response is not understood."""

    def authorize_url(self, state: str) -> str:
        """The URL of GitHub's authorization page; `state` comes back with the code."""
        ...

    async def exchange(self, code: str) -> str:
        """The access token for a code. Raises GithubRefused."""
        ...

    async def user(self, access_token: str) -> GithubUser:
        """The user of this token. Raises GithubUserUnknown."""
        ...


class FetchedAvatar(Struct, frozen=True):
    """A downloaded picture, unchanged; sizes are pixels."""

    content: bytes
    extension: Literal["png", "jpg"]
    width: int
    height: int
    thumbhash: str


class AvatarSource(Protocol):
    async def fetch(self, url: str) -> FetchedAvatar:
        """Raises Invalid or TooLarge for a picture that is refused, Unavailable when it cannot be fetched."""
        ...


class Voice(Protocol):
    async def usage(self, voice_user: str, since: Millis) -> VoiceUsage:
        """Seconds and conversations of a user since then. Raises HappyError."""
        ...

    async def conversation_token(self, agent_id: str, voice_user: str) -> str:
        """A token with which a client starts a conversation. Raises HappyError."""
        ...


class Subscriptions(Protocol):
    async def active(self, account_id: AccountId) -> bool:
        """Whether the account has an active subscription; False when the provider does not respond."""
        ...
