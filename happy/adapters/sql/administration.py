"""Administration of accounts in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.administration import AccountRecord, Belongings, MachineRecord, SessionRecord
from happy.domain.values import AccountId, MachineId, Millis, SessionId

PAGE = Statement("administration.PAGE", AccountRecord)
FIND = Statement("administration.FIND", AccountRecord)
BELONGINGS = Statement("administration.BELONGINGS", Belongings)
SESSIONS = Statement("administration.SESSIONS", SessionRecord)
SESSION = Statement("administration.SESSION", SessionRecord)
MACHINES = Statement("administration.MACHINES", MachineRecord)
MACHINE = Statement("administration.MACHINE", MachineRecord)
ACCESS_KEYS: Statement[int] = Statement("administration.ACCESS_KEYS", scalar)

AFTER_EVERY_ID = SessionId("~")
AFTER_EVERY_TIME = Millis(2**53)


class SqlAdministration:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def page(self, after: AccountId, limit: int) -> list[AccountRecord]:
        return await self._executor.all(PAGE, after=after, limit=limit)

    async def find(self, account: str, public_key: str) -> list[AccountRecord]:
        return await self._executor.all(FIND, account=account, public_key=public_key)

    async def belongings(self, account_id: AccountId) -> Belongings:
        found = await self._executor.one(BELONGINGS, account=account_id)
        assert found is not None, "a query without a table always returns its row"
        return found

    async def sessions(
        self, account_id: AccountId, before: SessionId | None, limit: int
    ) -> list[SessionRecord]:
        return await self._executor.all(
            SESSIONS, account=account_id, before=before or AFTER_EVERY_ID, limit=limit
        )

    async def session(self, session_id: SessionId) -> SessionRecord | None:
        return await self._executor.one(SESSION, session=session_id)

    async def machines(
        self, account_id: AccountId, after: MachineRecord | None, limit: int
    ) -> list[MachineRecord]:
        time, name = (after.last_active_at, after.id) if after else (AFTER_EVERY_TIME, "")
        return await self._executor.all(MACHINES, account=account_id, time=time, name=name, limit=limit)

    async def machine(self, machine_id: MachineId) -> MachineRecord | None:
        return await self._executor.one(MACHINE, machine=machine_id)

    async def access_keys(self, machine_id: MachineId) -> int:
        return await self._executor.one(ACCESS_KEYS, machine=machine_id) or 0
