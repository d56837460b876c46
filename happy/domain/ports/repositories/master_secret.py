"""Which master secret the stored data was made with."""

from typing import Protocol

from msgspec import Struct

from happy.domain.values import AccountId, Millis


class SecretUse(Struct, frozen=True):
    """Which master secret the stored data was made with, if it is known, and an account, if there is any."""

    fingerprint: str | None
    some_account: AccountId | None


class MasterSecretRepository(Protocol):
    async def use(self) -> SecretUse: ...

    async def claim(self, fingerprint: str, now: Millis) -> None:
        """Store it, unless there is one: of several servers that start at once, the first decides."""
        ...

    async def replace(self, fingerprint: str, now: Millis) -> None: ...
