"""The key-value store in SQL."""

from collections.abc import Sequence

from happy.adapters.sql.ranges import after_prefix
from happy.adapters.sql.statement import Executor, Listing, Statement, scalar
from happy.domain.artifacts import ABSENT, KvEntry, KvMutation
from happy.domain.listing import Large
from happy.domain.values import AccountId, Millis

GET_MANY = Statement("kv.GET_MANY", KvEntry)
PAGE = Listing("kv.PAGE", KvEntry, "key", "value")
PAGE_UNTIL = Listing("kv.PAGE_UNTIL", KvEntry, "key", "value")
GIVEN = Listing("kv.GIVEN", KvEntry, "key", "value")
ADD: Statement[int] = Statement("kv.ADD", scalar)
SWAP: Statement[int] = Statement("kv.SWAP", scalar)


class SqlKv:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def get_many(self, account_id: AccountId, keys: Sequence[str]) -> dict[str, KvEntry]:
        rows = await self._executor.all(GET_MANY, account=account_id, keys=list(keys))
        return {entry.key: entry for entry in rows}

    async def given(self, account_id: AccountId, keys: Sequence[str]) -> list[KvEntry | Large]:
        return await self._executor.listed(GIVEN, account=account_id, keys=list(keys))

    async def page(self, account_id: AccountId, prefix: str, limit: int) -> list[KvEntry | Large]:
        end = after_prefix(prefix)
        if end is None:
            return await self._executor.listed(PAGE, account=account_id, first=prefix, limit=limit)
        return await self._executor.listed(PAGE_UNTIL, account=account_id, first=prefix, end=end, limit=limit)

    async def put(
        self, account_id: AccountId, entry_id: str, mutation: KvMutation, now: Millis
    ) -> int | None:
        if mutation.version == ABSENT:
            return await self._executor.one(
                ADD, id=entry_id, account=account_id, key=mutation.key, value=mutation.value, now=now
            )
        return await self._executor.one(
            SWAP,
            account=account_id,
            key=mutation.key,
            expected=mutation.version,
            value=mutation.value,
            now=now,
        )
