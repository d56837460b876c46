"""Accounts as others see them, in SQL."""

import string

from happy.adapters.sql.ranges import after_prefix
from happy.adapters.sql.statement import Executor, Statement
from happy.domain.people import Person
from happy.domain.values import AccountId

GET = Statement("people.GET", Person)
SEARCH = Statement("people.SEARCH", Person)
FRIENDS = Statement("people.FRIENDS", Person)

LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)
FIRST_NAME = "\x01"
"""An empty username counts as missing."""

AFTER_EVERY_NAME = "\U0010ffff"
"""No username begins with it: it is not a valid character."""


class SqlPeople:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def get(self, viewer: AccountId, account_id: AccountId) -> Person | None:
        return await self._executor.one(GET, viewer=viewer, account=account_id)

    async def search(self, viewer: AccountId, prefix: str, limit: int) -> list[Person]:
        first = prefix.translate(LOWER) or FIRST_NAME
        end = (after_prefix(first) if prefix else None) or AFTER_EVERY_NAME
        return await self._executor.all(SEARCH, viewer=viewer, first=first, end=end, limit=limit)

    async def friends(self, viewer: AccountId) -> list[Person]:
        return await self._executor.all(FRIENDS, viewer=viewer)
