"""Removal of the rows of deleted sessions and machines, in SQL."""

from msgspec import Struct

from happy.adapters.sql.github import DELETE_USER, LINKED
from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.ports.repositories.deletions import Deletable
from happy.domain.values import AccountId, Millis


class Statements(Struct, frozen=True):
    """The statements for one kind; contents are removed in this order."""

    claim: Statement[str]
    contents: tuple[Statement[str], ...]
    lock: Statement[str]
    finish: Statement[None]
    postpone: Statement[None]


def _statements(suffix: str, *contents: str) -> Statements:
    return Statements(
        claim=Statement(f"deletions.CLAIM_{suffix}", scalar),
        contents=tuple(Statement(f"deletions.REMOVE_{name}", scalar) for name in contents),
        lock=Statement(f"deletions.LOCK_{suffix}", scalar),
        finish=Statement(f"deletions.FINISH_{suffix}", scalar),
        postpone=Statement(f"deletions.POSTPONE_{suffix}", scalar),
    )


OF_KIND: dict[Deletable, Statements] = {
    "account": _statements(
        "ACCOUNT",
        "KEYS_OF_ACCOUNT",
        "USAGE_OF_ACCOUNT",
        "SESSIONS_OF_ACCOUNT",
        "MACHINES",
        "ARTIFACTS",
        "KV",
        "PUSH_TOKENS",
        "FEED",
        "RELATIONS_FROM",
        "RELATIONS_TO",
        "VENDOR_TOKENS",
        "VOICE",
        "PICTURES",
        "ANNOUNCEMENTS",
        "TOKEN_USES",
        "REVOKED_TOKENS",
    ),
    "session": _statements("SESSION", "MESSAGES", "USAGE", "KEYS_OF_SESSION"),
    "machine": _statements("MACHINE", "KEYS_OF_MACHINE"),
}


ADD_OWNER: Statement[None] = Statement("deletions.ADD_OWNER", scalar)
HIDE_ACCOUNT: Statement[None] = Statement("deletions.HIDE_ACCOUNT", scalar)
HIDE_PICTURES: Statement[None] = Statement("deletions.HIDE_PICTURES", scalar)
PICTURES_IN_USE: Statement[str] = Statement("deletions.PICTURES_IN_USE", scalar)


class SqlDeletions:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def hide_account(self, account_id: AccountId, now: Millis) -> None:
        await self._executor.execute(ADD_OWNER, now=now)
        holder = await self._executor.one(LINKED, account=account_id)
        await self._executor.execute(HIDE_ACCOUNT, target=account_id, now=now)
        if holder is not None and holder.github_id is not None:
            await self._executor.execute(DELETE_USER, github_id=holder.github_id)
        await self._executor.execute(HIDE_PICTURES, target=account_id)

    async def pictures_in_use(self, account_id: AccountId, folder: str) -> bool:
        found = await self._executor.one(PICTURES_IN_USE, target=account_id, folder=folder)
        return found is not None

    async def claim(self, kind: Deletable, now: Millis) -> str | None:
        return await self._executor.one(OF_KIND[kind].claim, now=now)

    async def remove(self, kind: Deletable, target: str, limit: int) -> int:
        for statement in OF_KIND[kind].contents:
            removed = await self._executor.all(statement, target=target, limit=limit)
            if removed:
                return len(removed)
        return 0

    async def finish(self, kind: Deletable, target: str) -> bool:
        statements = OF_KIND[kind]
        locked = await self._executor.one(statements.lock, target=target)
        if locked is not None and await self.remove(kind, target, limit=1):
            return False
        await self._executor.execute(statements.finish, target=target)
        return True

    async def postpone(self, kind: Deletable, target: str, until: Millis) -> None:
        await self._executor.execute(OF_KIND[kind].postpone, target=target, until=until)
