"""Invites and their openings in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.registration import Invite
from happy.domain.values import Millis

ADD: Statement[None] = Statement("invites.ADD", scalar)
BY_CODE = Statement("invites.BY_CODE", Invite)
ALL = Statement("invites.ALL", Invite)
DROP: Statement[str] = Statement("invites.DROP", scalar)
OPEN: Statement[None] = Statement("invites.OPEN", scalar)
DROP_SURPLUS: Statement[None] = Statement("invites.DROP_SURPLUS", scalar)
OPENED_AT: Statement[str] = Statement("invites.OPENED_AT", scalar)
USE: Statement[None] = Statement("invites.USE", scalar)
DROP_EXPIRED_OPENINGS: Statement[str] = Statement("invites.DROP_EXPIRED_OPENINGS", scalar)
DROP_EXPIRED: Statement[str] = Statement("invites.DROP_EXPIRED", scalar)


class SqlInvites:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def add(self, invite: Invite, code_hash: str) -> None:
        await self._executor.execute(
            ADD,
            id=invite.id,
            code_hash=code_hash,
            uses=invite.uses,
            used=invite.used,
            created_at=invite.created_at,
            expires_at=invite.expires_at,
        )

    async def by_code(self, code_hash: str) -> Invite | None:
        return await self._executor.one(BY_CODE, code_hash=code_hash)

    async def all(self) -> list[Invite]:
        return await self._executor.all(ALL)

    async def drop(self, invite_id: str) -> bool:
        return await self._executor.one(DROP, invite=invite_id) is not None

    async def open(self, invite_id: str, address: str, now: Millis, expires_at: Millis) -> None:
        await self._executor.execute(OPEN, invite=invite_id, address=address, now=now, expires_at=expires_at)

    async def drop_openings(self, invite_id: str, keep: int) -> None:
        await self._executor.execute(DROP_SURPLUS, invite=invite_id, keep=keep)

    async def opened_at(self, address: str, now: Millis) -> str | None:
        return await self._executor.one(OPENED_AT, address=address, now=now)

    async def use(self, invite_id: str) -> None:
        await self._executor.execute(USE, invite=invite_id)

    async def drop_expired(self, openings: Millis, invites: Millis, limit: int) -> int:
        dropped = await self._executor.all(DROP_EXPIRED_OPENINGS, before=openings, limit=limit)
        if not dropped:
            dropped = await self._executor.all(DROP_EXPIRED, before=invites, limit=limit)
        return len(dropped)
