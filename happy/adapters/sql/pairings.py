"""Linking requests in SQL: two tables with the same columns."""

from msgspec import Struct

from happy.adapters.sql.statement import Executor, Statement, scalar
from happy.domain.accounts import PairingKind, PairingRequest
from happy.domain.values import AccountId, Millis


class Statements(Struct, frozen=True):
    """The statements on one of the two tables."""

    get: Statement[PairingRequest]
    open: Statement[None]
    reopen: Statement[None]
    answer: Statement[str]
    pick_up: Statement[None]
    drop_unanswered: Statement[str]
    drop_answered: Statement[str]


def _statements(suffix: str) -> Statements:
    return Statements(
        get=Statement(f"pairings.GET_{suffix}", PairingRequest),
        open=Statement(f"pairings.OPEN_{suffix}", scalar),
        reopen=Statement(f"pairings.REOPEN_{suffix}", scalar),
        answer=Statement(f"pairings.ANSWER_{suffix}", scalar),
        pick_up=Statement(f"pairings.PICK_UP_{suffix}", scalar),
        drop_unanswered=Statement(f"pairings.DROP_UNANSWERED_{suffix}", scalar),
        drop_answered=Statement(f"pairings.DROP_ANSWERED_{suffix}", scalar),
    )


OF_KIND: dict[PairingKind, Statements] = {
    "terminal": _statements("TERMINAL"),
    "account": _statements("ACCOUNT"),
}


class SqlPairings:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def get(self, kind: PairingKind, public_key: str) -> PairingRequest | None:
        return await self._executor.one(OF_KIND[kind].get, public_key=public_key)

    async def open(
        self, kind: PairingKind, request_id: str, public_key: str, now: Millis, *, supports_v2: bool
    ) -> PairingRequest:
        values = {"supports_v2": supports_v2} if kind == "terminal" else {}
        await self._executor.execute(
            OF_KIND[kind].open, id=request_id, public_key=public_key, now=now, **values
        )
        return await self._stored(kind, public_key)

    async def reopen(
        self, kind: PairingKind, public_key: str, now: Millis, *, supports_v2: bool
    ) -> PairingRequest:
        values = {"supports_v2": supports_v2} if kind == "terminal" else {}
        await self._executor.execute(OF_KIND[kind].reopen, public_key=public_key, now=now, **values)
        return await self._stored(kind, public_key)

    async def answer(
        self, kind: PairingKind, public_key: str, account_id: AccountId, response: str, now: Millis
    ) -> bool:
        answered = await self._executor.one(
            OF_KIND[kind].answer, public_key=public_key, account=account_id, response=response, now=now
        )
        return answered is not None

    async def pick_up(self, kind: PairingKind, public_key: str, now: Millis) -> None:
        await self._executor.execute(OF_KIND[kind].pick_up, public_key=public_key, now=now)

    async def drop_unanswered(self, deadline: Millis, limit: int) -> int:
        return await self._drop([each.drop_unanswered for each in OF_KIND.values()], deadline, limit)

    async def drop_answered(self, deadline: Millis, limit: int) -> int:
        return await self._drop([each.drop_answered for each in OF_KIND.values()], deadline, limit)

    async def _drop(self, statements: list[Statement[str]], deadline: Millis, limit: int) -> int:
        for statement in statements:
            dropped = await self._executor.all(statement, deadline=deadline, limit=limit)
            if dropped:
                return len(dropped)
        return 0

    async def _stored(self, kind: PairingKind, public_key: str) -> PairingRequest:
        request = await self.get(kind, public_key)
        assert request is not None, "the row cannot vanish inside a transaction"
        return request
