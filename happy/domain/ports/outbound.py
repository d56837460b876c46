"""Other companies' services, as far as the core needs them."""

from collections.abc import Sequence
from typing import Literal, Protocol

from msgspec import Struct

from happy.domain.github import GithubUser
from happy.domain.push import Notification, Ticket
from happy.domain.values import AccountId, Millis
from happy.domain.voice import VoiceUsage


class PushSender(Protocol):
    async def send(self, notification: Notification, tokens: Sequence[str], seconds: float) -> list[Ticket]:
        """Hand over to every token; one ticket each, in order, within `seconds`. Never raises HappyError."""
        ...


class GithubRefused(Exception):
    """GitHub did not accept the code; the message is its name for the reason."""


class GithubUserUnknown(Exception):
    """GitHub did not say whose token this is."""


class Github(Protocol):
    """Raises HappyError when GitHub cannot be reached or does not make sense."""

    def authorize_url(self, state: str) -> str:
        """Where a person lets us in."""
        ...

    async def exchange(self, code: str) -> str:
        """The access token for a code. Raises GithubRefused."""
        ...

    async def user(self, access_token: str) -> GithubUser:
        """Whose token this is. Raises GithubUserUnknown."""
        ...


class FetchedAvatar(Struct, frozen=True):
    """A picture as it was found; sizes are pixels."""

    content: bytes
    extension: Literal["png", "jpg"]
    width: int
    height: int
    thumbhash: str


class AvatarSource(Protocol):
    async def fetch(self, url: str) -> FetchedAvatar:
        """Raises Invalid or TooLarge for what is not acceptable, Unavailable for what is not there."""
        ...


class Voice(Protocol):
    async def usage(self, voice_user: str, since: Millis) -> VoiceUsage:
        """What somebody has spoken since then. Raises HappyError."""
        ...

    async def conversation_token(self, agent_id: str, voice_user: str) -> str:
        """What a client needs to begin speaking. Raises HappyError."""
        ...


class Subscriptions(Protocol):
    async def active(self, account_id: AccountId) -> bool:
        """Whether the account has paid; an account of which nobody can tell has not."""
        ...
