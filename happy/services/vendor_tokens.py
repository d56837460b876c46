"""Stores credentials for other companies' services, sealed (protocol: http#vendor-tokens)."""

import asyncio
import logging

from msgspec import Struct

from happy.crypto import Keyring, Sealed
from happy.domain.ids import new_id
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.sealed import vendor_token_path
from happy.domain.values import AccountId
from happy.domain.vendor_tokens import SealedToken, Vendor

log = logging.getLogger(__name__)


class VendorToken(Struct, frozen=True):
    vendor: str
    token: str


class VendorTokenService:
    """Sealing runs in a thread, because deriving the key takes 0.1 s."""

    def __init__(self, store: Store, keys: Keyring, clock: Clock) -> None:
        self._store = store
        self._keys = keys
        self._clock = clock

    async def register(self, account_id: AccountId, vendor: Vendor, token: str) -> None:
        """Store the token, replacing an earlier one; its text is not checked."""
        sealed = await asyncio.to_thread(self._seal, account_id, vendor, token)
        now = self._clock()
        token_id = new_id(now)
        await self._store.write(
            lambda tx: tx.vendor_tokens.save(account_id, token_id, vendor, sealed.blob, sealed.key_id, now)
        )

    async def token(self, account_id: AccountId, vendor: Vendor) -> str | None:
        """None also for one that was sealed with another master secret."""
        sealed = await self._store.read(lambda tx: tx.vendor_tokens.get(account_id, vendor))
        return None if sealed is None else await asyncio.to_thread(self._unseal, account_id, vendor, sealed)

    async def tokens(self, account_id: AccountId) -> list[VendorToken]:
        """Those that can be read, the earliest stored first."""
        stored = await self._store.read(lambda tx: tx.vendor_tokens.owned(account_id))
        return await asyncio.to_thread(self._readable, account_id, stored)

    def _readable(self, account_id: AccountId, stored: list[SealedToken]) -> list[VendorToken]:
        tokens = ((each.vendor, self._unseal(account_id, each.vendor, each.token)) for each in stored)
        return [VendorToken(vendor, token) for vendor, token in tokens if token is not None]

    async def delete(self, account_id: AccountId, vendor: Vendor) -> None:
        """Idempotent."""
        await self._store.write(lambda tx: tx.vendor_tokens.delete(account_id, vendor))

    def _seal(self, account_id: AccountId, vendor: str, token: str) -> Sealed:
        return self._keys.at_rest.seal(vendor_token_path(account_id, vendor), token)

    def _unseal(self, account_id: AccountId, vendor: str, sealed: bytes) -> str | None:
        try:
            return self._keys.at_rest.unseal(vendor_token_path(account_id, vendor), sealed)
        except ValueError as error:
            log.warning("a vendor token cannot be read: %s", error, extra={"vendor": vendor})
            return None
