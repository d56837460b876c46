"""Registration requests in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.registration import RegistrationRequest, RequestStatus
from happy.domain.values import AccountId, Millis

LOCK: Statement[None] = Statement("registrations.LOCK", scalar)
SOME_ACCOUNT: Statement[AccountId] = Statement("registrations.SOME_ACCOUNT", scalar)
ABOUT = Statement("registrations.ABOUT", RegistrationRequest)
ALL = Statement("registrations.ALL", RegistrationRequest)
SAVE: Statement[None] = Statement("registrations.SAVE", scalar)
DROP: Statement[None] = Statement("registrations.DROP", scalar)
DROP_WAITING_AT: Statement[None] = Statement("registrations.DROP_WAITING_AT", scalar)
DROP_SURPLUS: Statement[None] = Statement("registrations.DROP_SURPLUS", scalar)
DROP_EXPIRED: Statement[str] = Statement("registrations.DROP_EXPIRED", scalar)


class SqlRegistrations:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def lock(self, now: Millis) -> None:
        await self._executor.execute(LOCK, now=now)

    async def has_accounts(self) -> bool:
        return await self._executor.one(SOME_ACCOUNT) is not None

    async def about(self, public_key: str, address: str) -> list[RegistrationRequest]:
        return await self._executor.all(ABOUT, public_key=public_key, address=address)

    async def all(self) -> list[RegistrationRequest]:
        return await self._executor.all(ALL)

    async def save(self, request: RegistrationRequest) -> None:
        await self._executor.execute(
            SAVE,
            public_key=request.public_key,
            address=request.address,
            status=request.status,
            created_at=request.created_at,
            updated_at=request.updated_at,
        )

    async def drop(self, public_key: str) -> None:
        await self._executor.execute(DROP, public_key=public_key)

    async def drop_waiting_at(self, address: str) -> None:
        await self._executor.execute(DROP_WAITING_AT, address=address)

    async def drop_surplus(self, keep: int) -> None:
        await self._executor.execute(DROP_SURPLUS, keep=keep)

    async def drop_expired(self, status: RequestStatus, before: Millis, limit: int) -> int:
        return len(await self._executor.all(DROP_EXPIRED, status=status, before=before, limit=limit))
