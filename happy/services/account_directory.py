"""Finds accounts for the operator of the server."""

from collections.abc import AsyncIterator

from happy.domain.administration import AccountRecord, Belongings
from happy.domain.errors import Conflict, NotFound
from happy.domain.ports.store import Store
from happy.domain.values import AccountId

PAGE_ACCOUNTS = 500


class AccountDirectory:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def all(self) -> AsyncIterator[AccountRecord]:
        """Every account, in the order of their ids; read in pages, so that no transaction is long."""
        after = AccountId("")
        while page := await self._page(after):
            for account in page:
                yield account
            after = page[-1].id

    async def _page(self, after: AccountId) -> list[AccountRecord]:
        return await self._store.read(lambda tx: tx.administration.page(after, PAGE_ACCOUNTS))

    async def find(self, account: str) -> AccountRecord:
        """The account with this id, public key in hex, or username (also as `@name`).

        Raises NotFound, or Conflict when it means several.
        """
        wanted = account.removeprefix("@")
        found = await self._store.read(lambda tx: tx.administration.find(wanted, wanted.upper()))
        if not found:
            raise NotFound(f"there is no account {account!r}: `happy-server accounts list` shows them")
        if len(found) > 1:
            ids = ", ".join(record.id for record in found)
            raise Conflict(f"{account!r} may mean several accounts ({ids}): give the id")
        return found[0]

    async def belongings(self, account_id: AccountId) -> Belongings:
        return await self._store.read(lambda tx: tx.administration.belongings(account_id))
