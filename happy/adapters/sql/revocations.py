"""Revocations and the uses of tokens, in SQL."""

from collections.abc import Sequence

import msgspec

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.revocations import Revocation, TokenUse
from happy.domain.values import AccountId, Millis

AFTER = Statement("revocations.AFTER", Revocation)
LOCK: Statement[int] = Statement("revocations.LOCK", scalar)
OF_ACCOUNT = Statement("revocations.OF_ACCOUNT", Revocation)
SAVE: Statement[None] = Statement("revocations.SAVE", scalar)
REVOKED_TOKENS: Statement[str] = Statement("revocations.REVOKED_TOKENS", scalar)
FORGET_DELETED: Statement[str] = Statement("revocations.FORGET_DELETED", scalar)

SAVE_USE: Statement[None] = Statement("token_uses.SAVE", scalar)
USES_OF_ACCOUNT = Statement("token_uses.OF_ACCOUNT", TokenUse)
FIND_USE = Statement("token_uses.FIND", TokenUse)
TRIM_USES: Statement[None] = Statement("token_uses.TRIM", scalar)


class SqlRevocations:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def after(self, revision: int, limit: int) -> list[Revocation]:
        return await self._executor.all(AFTER, revision=revision, limit=limit)

    async def lock(self, now: Millis) -> int:
        revision = await self._executor.one(LOCK, now=now)
        assert revision is not None, "an upsert always returns its row"
        return revision

    async def of_account(self, account_id: AccountId) -> Revocation | None:
        return await self._executor.one(OF_ACCOUNT, id=_key(account_id, None))

    async def save(self, revocation: Revocation) -> None:
        key = _key(revocation.account_id, revocation.token_id)
        await self._executor.execute(SAVE, id=key, **msgspec.structs.asdict(revocation))

    async def revoked_tokens(self, account_id: AccountId, limit: int) -> list[str]:
        return await self._executor.all(REVOKED_TOKENS, account=account_id, limit=limit)

    async def forget_deleted(self, before: Millis, limit: int) -> int:
        return len(await self._executor.all(FORGET_DELETED, before=before, limit=limit))


class SqlTokenUses:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def save(self, uses: Sequence[TokenUse]) -> None:
        await self._executor.execute_many(SAVE_USE, [msgspec.structs.asdict(use) for use in uses])

    async def of_account(self, account_id: AccountId, limit: int) -> list[TokenUse]:
        return await self._executor.all(USES_OF_ACCOUNT, account=account_id, limit=limit)

    async def find(self, token_id: str) -> TokenUse | None:
        return await self._executor.one(FIND_USE, id=token_id)

    async def trim(self, account_id: AccountId, keep: int) -> None:
        await self._executor.execute(TRIM_USES, account=account_id, keep=keep)


def _key(account_id: AccountId, token_id: str | None) -> str:
    return f"account:{account_id}" if token_id is None else f"token:{token_id}"
