"""Accounts in SQL."""

from collections.abc import Collection

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.accounts import Account, PushToken, Settings
from happy.domain.errors import NotFound
from happy.domain.values import AccountId, Millis, Swap, Versioned

UPSERT: Statement[AccountId] = Statement("accounts.UPSERT", scalar)
TOUCH: Statement[AccountId] = Statement("accounts.TOUCH", scalar)
IS_KNOWN: Statement[AccountId] = Statement("accounts.IS_KNOWN", scalar)
EXISTING: Statement[AccountId] = Statement("accounts.EXISTING", scalar)
GET = Statement("accounts.GET", Account)
CONNECTED_SERVICES: Statement[str] = Statement("accounts.CONNECTED_SERVICES", scalar)
SETTINGS = Statement("accounts.SETTINGS", Settings)
SWAP_SETTINGS: Statement[Versioned[str | None]] = Statement("accounts.SWAP_SETTINGS", Versioned)
TAKE_SEQ: Statement[int] = Statement("accounts.TAKE_SEQ", scalar)
PUSH_TOKENS = Statement("accounts.PUSH_TOKENS", PushToken)
ADD_PUSH_TOKEN: Statement[None] = Statement("accounts.ADD_PUSH_TOKEN", scalar)
DROP_PUSH_TOKEN: Statement[None] = Statement("accounts.DROP_PUSH_TOKEN", scalar)
TAKE_PUSH_TOKEN: Statement[None] = Statement("accounts.TAKE_PUSH_TOKEN", scalar)


class SqlAccounts:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def upsert(self, account_id: AccountId, public_key: str, now: Millis) -> AccountId:
        stored = await self._executor.one(UPSERT, id=account_id, public_key=public_key, now=now)
        assert stored is not None, "an upsert always returns its row"
        return stored

    async def touch(self, public_key: str, now: Millis) -> AccountId | None:
        return await self._executor.one(TOUCH, public_key=public_key, now=now)

    async def is_known(self, public_key: str) -> bool:
        return await self._executor.one(IS_KNOWN, public_key=public_key) is not None

    async def existing(self, account_ids: Collection[AccountId]) -> list[AccountId]:
        return await self._executor.all(EXISTING, accounts=list(account_ids))

    async def get(self, account_id: AccountId) -> Account | None:
        return await self._executor.one(GET, account=account_id)

    async def connected_services(self, account_id: AccountId) -> list[str]:
        return await self._executor.all(CONNECTED_SERVICES, account=account_id)

    async def settings(self, account_id: AccountId) -> Settings | None:
        return await self._executor.one(SETTINGS, account=account_id)

    async def swap_settings(
        self, account_id: AccountId, expected: int, value: str | None, now: Millis
    ) -> Swap[str | None]:
        stored = await self._executor.one(
            SWAP_SETTINGS, account=account_id, expected=expected, value=value, now=now
        )
        if stored is not None:
            return Swap(won=True, current=stored)
        current = await self.settings(account_id)
        if current is None:
            raise NotFound("account not found")
        return Swap(won=False, current=Versioned(current.value, current.version))

    async def next_seq(self, account_id: AccountId, count: int, now: Millis) -> int:
        seq = await self._executor.one(TAKE_SEQ, account=account_id, count=count, now=now)
        if seq is None:
            raise NotFound("account not found")
        return seq

    async def push_tokens(self, account_id: AccountId) -> list[PushToken]:
        return await self._executor.all(PUSH_TOKENS, account=account_id)

    async def add_push_token(self, account_id: AccountId, token_id: str, token: str, now: Millis) -> None:
        await self._executor.execute(ADD_PUSH_TOKEN, id=token_id, account=account_id, token=token, now=now)

    async def drop_push_token(self, account_id: AccountId, token: str) -> None:
        await self._executor.execute(DROP_PUSH_TOKEN, account=account_id, token=token)

    async def take_push_token(self, account_id: AccountId, token: str) -> None:
        await self._executor.execute(TAKE_PUSH_TOKEN, account=account_id, token=token)
