"""Vendor tokens in SQL, encrypted at rest."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.values import AccountId, Millis
from happy.domain.vendor_tokens import SealedToken, Vendor

SAVE: Statement[None] = Statement("vendor_tokens.SAVE", scalar)
GET: Statement[bytes] = Statement("vendor_tokens.GET", scalar)
OWNED = Statement("vendor_tokens.OWNED", SealedToken)
DELETE: Statement[None] = Statement("vendor_tokens.DELETE", scalar)


class SqlVendorTokens:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def save(
        self, account_id: AccountId, token_id: str, vendor: Vendor, token: bytes, key_id: str, now: Millis
    ) -> None:
        await self._executor.execute(
            SAVE, id=token_id, account=account_id, vendor=vendor, token=token, key_id=key_id, now=now
        )

    async def get(self, account_id: AccountId, vendor: Vendor) -> bytes | None:
        return await self._executor.one(GET, account=account_id, vendor=vendor)

    async def owned(self, account_id: AccountId) -> list[SealedToken]:
        return await self._executor.all(OWNED, account=account_id)

    async def delete(self, account_id: AccountId, vendor: Vendor) -> None:
        await self._executor.execute(DELETE, account=account_id, vendor=vendor)
