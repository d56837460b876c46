"""Accounts as others see them, in SQL."""

from happy.adapters.sql.statement import Executor, Statement
from happy.domain.people import Person
from happy.domain.values import AccountId

GET = Statement("people.GET", Person)
SEARCH = Statement("people.SEARCH", Person)
FRIENDS = Statement("people.FRIENDS", Person)

LITERALLY = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})


class SqlPeople:
    def __init__(self, run: Executor) -> None:
        self._run = run

    async def get(self, viewer: AccountId, account_id: AccountId) -> Person | None:
        return await self._run.one(GET, viewer=viewer, account=account_id)

    async def search(self, viewer: AccountId, prefix: str, limit: int) -> list[Person]:
        pattern = prefix.translate(LITERALLY) + "%"
        return await self._run.all(SEARCH, viewer=viewer, pattern=pattern, limit=limit)

    async def friends(self, viewer: AccountId) -> list[Person]:
        return await self._run.all(FRIENDS, viewer=viewer)
