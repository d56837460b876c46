"""GitHub users, and the accounts that are linked to them."""

from typing import Protocol

import msgspec

from happy.domain.accounts import Avatar
from happy.domain.github import Holder
from happy.domain.values import AccountId, Millis


class GithubRepository(Protocol):
    """GitHub users, and the accounts that are linked to one: at most one each."""

    async def spend_state(self, state_id: str, expires: Millis, now: Millis) -> bool:
        """True if this state is used for the first time. It is kept until it expires."""
        ...

    async def holders(self, account_id: AccountId, github_id: str, username: str) -> list[Holder]:
        """The account, and all that have this GitHub user or username; locked for this transaction."""
        ...

    async def linked(self, account_id: AccountId) -> Holder | None:
        """The account, locked for this transaction."""
        ...

    async def save_user(
        self, github_id: str, profile: msgspec.Raw, token: bytes, key_id: str, now: Millis
    ) -> None:
        """`key_id` is that of the secret that the token is sealed with."""
        ...

    async def delete_user(self, github_id: str) -> None: ...

    async def link(
        self,
        holder: Holder,
        first_name: str | None,
        last_name: str | None,
        avatar: Avatar | None,
        now: Millis,
    ) -> None:
        """Give an account this GitHub user, username and names, and the picture if there is one.

        Raises Conflict when another has the user or the username.
        """
        ...

    async def unlink(self, account_id: AccountId, now: Millis) -> None:
        """Remove GitHub user and username from the account; its names and picture are kept."""
        ...

    async def drop_username(self, account_id: AccountId, now: Millis) -> None: ...
