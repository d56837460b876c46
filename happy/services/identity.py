"""Who sends a request: the account behind a bearer token (contract 01 section 1.2)."""

from happy.crypto import Tokens
from happy.domain.errors import Unauthenticated
from happy.domain.ports.clock import Clock
from happy.domain.ports.repository import Store
from happy.domain.values import AccountId

KNOWN_ACCOUNTS = 100_000


class IdentityService:
    def __init__(self, store: Store, tokens: Tokens, clock: Clock) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._known: set[AccountId] = set()

    async def authenticate(self, token: str) -> AccountId:
        """The account that `token` speaks for. Raises Unauthenticated, or Unavailable when nobody can tell.

        Accounts are never deleted, so an account that was found once needs no second look.
        """
        claims = self._tokens.verify(token, self._clock())
        if claims is None:
            raise Unauthenticated
        account_id = AccountId(claims.account_id)
        if account_id not in self._known:
            await self._require_account(account_id)
        return account_id

    async def purge(self) -> None:
        """Forget tokens that were checked a day ago; they are checked again when they come."""
        self._tokens.purge(self._clock())

    async def _require_account(self, account_id: AccountId) -> None:
        if not await self._store.read(lambda tx: tx.accounts.exists(account_id)):
            raise Unauthenticated
        if len(self._known) >= KNOWN_ACCOUNTS:
            self._known.clear()
        self._known.add(account_id)
