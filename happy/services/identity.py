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
        self._reading = asyncio.Lock()

    async def authenticate(self, token: str) -> AccountId:
        """The account of `token`. Raises Unauthenticated, or Unavailable when the database does not answer.

        Accounts are never deleted, so an account that was found once is not looked up again.
        """
        claims = self._tokens.verify(token, self._clock())
        if claims is None:
            raise Unauthenticated
        account_id = AccountId(claims.account_id)
        if account_id not in self._known and account_id not in await self._lookup(account_id):
            raise Unauthenticated
        return account_id

    async def purge(self) -> None:
        """Evict tokens that were verified a day ago; they are verified again at their next use."""
        self._tokens.purge(self._clock())

    async def _lookup(self, account_id: AccountId) -> set[AccountId]:
        """Batches lookups: a thousand clients at once, as after a restart, cost two or three queries."""
        lookup = self._next
        lookup.accounts.add(account_id)
        async with self._reading:
            if lookup is self._next:
                self._next = AccountLookup()
                await self._read(lookup)
        if lookup.found is None:
            raise Unavailable("the database did not answer")
        return lookup.found

    async def _read(self, lookup: AccountLookup) -> None:
        """On failure the lookup stays without a result; its waiters then raise Unavailable."""
        lookup.found = set(await self._store.read(lambda tx: tx.accounts.existing(lookup.accounts)))
        if len(self._known) + len(lookup.found) > KNOWN_ACCOUNTS:
            self._known.clear()
        self._known |= lookup.found
