"""Who sends a request: the account behind a bearer token (protocol: http#authentication)."""

import asyncio

from happy.crypto import Tokens
from happy.domain.errors import Unauthenticated, Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.values import AccountId

KNOWN_ACCOUNTS = 100_000


class AccountLookup:
    """One question to the store for all who came while the one before was answered."""

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
        """The account that `token` speaks for. Raises Unauthenticated, or Unavailable when nobody can tell.

        Accounts are never deleted, so an account that was found once needs no second look.
        """
        claims = self._tokens.verify(token, self._clock())
        if claims is None:
            raise Unauthenticated
        account_id = AccountId(claims.account_id)
        if account_id not in self._known and account_id not in await self._look_for(account_id):
            raise Unauthenticated
        return account_id

    async def purge(self) -> None:
        """Forget tokens that were checked a day ago; they are checked again when they come."""
        self._tokens.purge(self._clock())

    async def _look_for(self, account_id: AccountId) -> set[AccountId]:
        """When a thousand clients come at once, as after a restart, two or three questions do for all."""
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
        """Those who wait for the same answer learn of a failure by its absence."""
        look.found = set(await self._store.read(lambda tx: tx.accounts.existing(look.accounts)))
        if len(self._known) + len(look.found) > KNOWN_ACCOUNTS:
            self._known.clear()
        self._known |= look.found
