"""Relations between accounts in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.social import Relation, Status
from happy.domain.values import AccountId, Millis

LOCK_PAIR: Statement[AccountId] = Statement("social.LOCK_PAIR", scalar)
GET = Statement("social.GET", Relation)
SAVE: Statement[None] = Statement("social.SAVE", scalar)
MARK_NOTIFIED: Statement[None] = Statement("social.MARK_NOTIFIED", scalar)


class SqlSocial:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def pair(self, one: AccountId, other: AccountId) -> tuple[Relation, Relation] | None:
        known = await self._executor.all(LOCK_PAIR, one=one, other=other)
        if set(known) != {one, other}:
            return None
        return await self._relation(one, other), await self._relation(other, one)

    async def save(self, owner: AccountId, other: AccountId, status: Status, now: Millis) -> None:
        accepted_at = now if status == "friend" else None
        await self._executor.execute(
            SAVE, owner=owner, other=other, status=status, accepted_at=accepted_at, now=now
        )

    async def mark_notified(self, owner: AccountId, other: AccountId, now: Millis) -> None:
        await self._executor.execute(MARK_NOTIFIED, owner=owner, other=other, now=now)

    async def _relation(self, owner: AccountId, other: AccountId) -> Relation:
        return await self._executor.one(GET, owner=owner, other=other) or Relation(owner, other)
