"""Sealed credentials of other companies."""

from typing import Protocol

from happy.domain.values import AccountId, Millis
from happy.domain.vendor_tokens import SealedToken, Vendor


class VendorTokenRepository(Protocol):
    """Credentials for services of other companies, sealed by the caller."""

    async def save(
        self, account_id: AccountId, token_id: str, vendor: Vendor, token: bytes, key_id: str, now: Millis
    ) -> None:
        """Store the token, replacing an earlier one; `key_id` is that of the secret it is sealed with."""
        ...

    async def get(self, account_id: AccountId, vendor: Vendor) -> bytes | None: ...

    async def owned(self, account_id: AccountId) -> list[SealedToken]:
        """The earliest stored first."""
        ...

    async def delete(self, account_id: AccountId, vendor: Vendor) -> None:
        """Deleting what is not there is fine."""
        ...
