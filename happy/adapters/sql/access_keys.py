"""Access keys in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.artifacts import AccessKey
from happy.domain.errors import NotFound
from happy.domain.values import AccountId, MachineId, Millis, SessionId, Swap, Versioned

REACHABLE: Statement[SessionId] = Statement("access_keys.REACHABLE", scalar)
GET = Statement("access_keys.GET", AccessKey)
ADD: Statement[str] = Statement("access_keys.ADD", scalar)
SWAP: Statement[Versioned[str]] = Statement("access_keys.SWAP", Versioned)


class SqlAccessKeys:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def reachable(self, account_id: AccountId, session_id: SessionId, machine_id: MachineId) -> bool:
        found = await self._executor.one(
            REACHABLE, account=account_id, session=session_id, machine=machine_id
        )
        return found is not None

    async def get(
        self, account_id: AccountId, session_id: SessionId, machine_id: MachineId
    ) -> AccessKey | None:
        return await self._executor.one(GET, account=account_id, session=session_id, machine=machine_id)

    async def add(
        self,
        account_id: AccountId,
        session_id: SessionId,
        machine_id: MachineId,
        key_id: str,
        data: str,
        now: Millis,
    ) -> bool:
        added = await self._executor.one(
            ADD, id=key_id, account=account_id, session=session_id, machine=machine_id, data=data, now=now
        )
        return added is not None

    async def swap(
        self,
        account_id: AccountId,
        session_id: SessionId,
        machine_id: MachineId,
        expected: int,
        data: str,
        now: Millis,
    ) -> Swap[str]:
        stored = await self._executor.one(
            SWAP,
            account=account_id,
            session=session_id,
            machine=machine_id,
            expected=expected,
            data=data,
            now=now,
        )
        if stored is not None:
            return Swap(won=True, current=stored)
        current = await self.get(account_id, session_id, machine_id)
        if current is None:
            raise NotFound("Access key not found")
        return Swap(won=False, current=Versioned(current.data, current.data_version))
