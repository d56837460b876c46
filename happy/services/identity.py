"""Authentication: the account of a bearer token (protocol: http#authentication)."""

import asyncio

from happy.crypto import Tokens
from happy.domain.errors import Unauthenticated, Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.values import AccountId

KNOWN_ACCOUNTS = 100_000


class AccountLookup:
    """One query for all tokens that arrived while the previous query was running."""

    def __init__(self) -> None:
        self.accounts: set[AccountId] = set()
        self.found: set[AccountId] | None = None


class IdentityService:
    def __init__(self, store: Store, tokens: Tokens, clock: Clock) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._known: set[AccountId] = set()
        self._next = AccountLookup()
        self._looking = asyncio.Lock()

    async def authenticate(self, token: str) -> AccountId:
        """The account of `token`. Raises Unauthenticated, or Unavailable when the database does not answer.

        Accounts are never deleted, so an account that was found once is not looked up again.
        """
        claims = self._tokens.verify(token, self._clock())
        if claims is None:
            raise Unauthenticated
        account_id = AccountId(claims.account_id)
        if account_id not in self._known and account_id not in await self._look_for(account_id):
            raise Unauthenticated
        return account_id

    async def purge(self) -> None:
        """Evict tokens that were verified a day ago; they are verified again at their next use."""
        self._tokens.purge(self._clock())

    async def _look_for(self, account_id: AccountId) -> set[AccountId]:
        """Batches lookups: a thousand clients at once, as after a restart, cost two or three queries."""
        look = self._next
        look.accounts.add(account_id)
        async with self._looking:
            if look is self._next:
                self._next = AccountLookup()
                await self._look(look)
        if look.found is None:
            raise Unavailable("the database did not answer")
        return look.found

    async def _look(self, look: AccountLookup) -> None:
        """On failure the lookup stays without a result; its waiters then raise Unavailable."""
        look.found = set(await self._store.read(lambda tx: tx.accounts.existing(look.accounts)))
        if len(self._known) + len(look.found) > KNOWN_ACCOUNTS:
            self._known.clear()
        self._known |= look.found
