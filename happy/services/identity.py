"""Authentication: the account of a bearer token (protocol: http#authentication)."""

import asyncio
import logging
from collections.abc import Callable

from happy.crypto import Claims, Tokens
from happy.domain.client_address import LOCAL, ClientAddress
from happy.domain.errors import Unauthenticated, Unavailable
from happy.domain.ports.clock import Clock
from happy.domain.ports.store import Store
from happy.domain.revocations import Refused
from happy.domain.values import AccountId
from happy.limits import limit
from happy.metrics import Metrics
from happy.services.revocations import Revocations
from happy.services.token_uses import TokenUses
from happy.telemetry import LimitedLog

KNOWN_ACCOUNTS = limit(
    100_000, "accounts known to exist without a look-up", per="replica", then="all are looked up again"
)
REFUSALS_A_MINUTE = 20
"""Rate limit of log lines: a client may try again and again."""

GetAddress = Callable[[], ClientAddress]

log = logging.getLogger(__name__)


class AccountLookup:
    """One query for all tokens that arrived while the previous query was running."""

    def __init__(self) -> None:
        self.accounts: set[AccountId] = set()
        self.found: set[AccountId] | None = None


def build_identity(
    store: Store, tokens: Tokens, clock: Clock, metrics: Metrics, token_days: int | None = None
) -> "IdentityService":
    """`token_days` is how long after its issue a token is accepted; None: for ever."""
    revocations = Revocations(store, clock, token_days)
    return IdentityService(store, tokens, clock, revocations, TokenUses(store, clock), metrics)


class IdentityService:
    def __init__(
        self,
        store: Store,
        tokens: Tokens,
        clock: Clock,
        revocations: Revocations,
        uses: TokenUses,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._tokens = tokens
        self._clock = clock
        self._metrics = metrics
        self._log_refusal, self._log_stranger = (
            LimitedLog(log, "a token was refused", level=logging.INFO, burst=REFUSALS_A_MINUTE)
            for _ in range(2)
        )
        self._known: set[AccountId] = set()
        self._next = AccountLookup()
        self._reading = asyncio.Lock()
        self.revocations = revocations
        self.uses = uses
        revocations.listen(self._known.discard)

    async def identify(self, token: str, get_address: GetAddress = lambda: LOCAL) -> Claims:
        """The claims of `token`. Raises Unauthenticated, or Unavailable when the database does not answer.

        `get_address` is called for the log, where it is no token of an account that is here. An account
        that was found once is looked up again only after a change of its revocations.
        """
        claims = self._tokens.verify(token, self._clock())
        if claims is None:
            raise self.refused(Refused.INVALID, get_address())
        self.require_accepted(claims)
        account_id = AccountId(claims.account_id)
        if account_id not in self._known and account_id not in await self._lookup(account_id):
            raise self.refused(Refused.NO_ACCOUNT, get_address())
        return claims

    def refused(self, reason: Refused, client: ClientAddress, message: str | None = None) -> Unauthenticated:
        """Count and log that this client has no token of an account that is here; the error to raise."""
        self._metrics.tokens_refused.add(reason)
        self._log_stranger(f"{reason}, from {client.own_network or 'an unknown address'}")
        return Unauthenticated(message)

    def refuses(self, claims: Claims) -> bool:
        """Whether the token of these claims is not accepted any more."""
        return self.revocations.refusal(claims) is not None

    def require_accepted(self, claims: Claims) -> None:
        """Raises Unauthenticated for a token that is not accepted any more, and counts it."""
        reason = self.revocations.refusal(claims)
        if reason is not None:
            self._metrics.tokens_refused.add(reason)
            self._log_refusal(f"{reason}, account {claims.account_id}, token {claims.token_id}")
            raise Unauthenticated

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
        """On failure the lookup remains without a result; its waiters then raise Unavailable."""
        lookup.found = set(await self._store.read(lambda tx: tx.accounts.existing(lookup.accounts)))
        if len(self._known) + len(lookup.found) > KNOWN_ACCOUNTS:
            self._known.clear()
        self._known |= lookup.found
