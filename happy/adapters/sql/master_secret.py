"""The fingerprint of the master secret in SQL."""

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.ports.repositories.master_secret import SecretUse
from happy.domain.values import AccountId, Millis

FINGERPRINT: Statement[str] = Statement("master_secret.FINGERPRINT", scalar)
SOME_ACCOUNT: Statement[AccountId] = Statement("master_secret.SOME_ACCOUNT", scalar)
CLAIM: Statement[None] = Statement("master_secret.CLAIM", scalar)
REPLACE: Statement[None] = Statement("master_secret.REPLACE", scalar)


class SqlMasterSecret:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def use(self) -> SecretUse:
        fingerprint = await self._executor.one(FINGERPRINT)
        some_account = await self._executor.one(SOME_ACCOUNT)
        return SecretUse(fingerprint, some_account)

    async def claim(self, fingerprint: str, now: Millis) -> None:
        await self._executor.execute(CLAIM, fingerprint=fingerprint, now=now)

    async def replace(self, fingerprint: str, now: Millis) -> None:
        await self._executor.execute(REPLACE, fingerprint=fingerprint, now=now)
