"""The recoverable sessions of this replica, by recovery token and connection, and changes of their state."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from happy.domain.ports.delivery import NotDelivered
from happy.domain.values import AccountId, ConnectionId
from happy.gateway.delivery import DeliveryReport, RecoveryRefused
from happy.gateway.handshake import Handshake
from happy.gateway.recovery.session import AWAITED, RecoverableSession, SessionState
from happy.limits import limit

MAX_LOST = limit(
    50_000,
    "lost sessions that are kept for recovery",
    per="replica",
    then="the one lost first is dropped and not recovered",
)
MAX_ACCOUNT_LOST = limit(
    2_000,
    "lost sessions of an account that are kept for recovery",
    per="account and replica",
    then="the one lost first is dropped and not recovered",
)
"""Those of one account do not drive out those of all others."""


class SessionRegistry:
    """Lost sessions end after `window`, in s on the clock `now`."""

    def __init__(self, window: float, report: DeliveryReport, now: Callable[[], float]) -> None:
        self._window = window
        self._report = report
        self._now = now
        self._by_token: dict[str, RecoverableSession] = {}
        self._by_connection: dict[ConnectionId, RecoverableSession] = {}
        self._lost: OrderedDict[str, RecoverableSession] = OrderedDict()  # the first lost one first
        self._lost_of: dict[AccountId, dict[str, RecoverableSession]] = {}
        self._awaited: Counter[AccountId] = Counter()

    def awaits(self, account_id: AccountId) -> bool:
        """Whether events of the account are to be kept for a client that may be replayed them."""
        if account_id not in self._awaited:
            return False
        self.expire()
        return account_id in self._awaited

    @contextmanager
    def awaiting(self, account_id: AccountId) -> Iterator[None]:
        """Events of the account are kept meanwhile."""
        self._awaited[account_id] += 1
        try:
            yield
        finally:
            self._await_less(account_id)

    def find(self, account_id: AccountId, handshake: Handshake) -> RecoverableSession | None:
        """By recovery token. Raises RecoveryRefused for one of another account, scope or target."""
        self.expire()
        session = self._by_token.get(handshake.recovery_token)
        if session is None or session.belongs_to(account_id, handshake):
            return session
        same = session.account_id == account_id
        raise RecoveryRefused(NotDelivered.OTHER_TARGET if same else NotDelivered.OTHER_ACCOUNT)

    def of_connection(self, connection_id: ConnectionId) -> RecoverableSession | None:
        return self._by_connection.get(connection_id)

    def add(self, session: RecoverableSession) -> None:
        """Make its token known. A former session of the same token ends."""
        former = self._by_token.get(session.recovery_token)
        if former is not None and former is not session:
            self.enter(former, SessionState.ENDED)
        self._by_token[session.recovery_token] = self._by_connection[session.connection_id] = session

    def enter(self, session: RecoverableSession, state: SessionState) -> None:
        """Change its state, and with it whether events are kept for it and its token is known."""
        former, session.state = session.state, state
        if former is SessionState.LOST and state is not SessionState.LOST:
            self._remove_lost(session)
        elif state is SessionState.LOST and former is not SessionState.LOST:
            self._add_lost(session)
        if former not in AWAITED and state in AWAITED:
            self._awaited[session.account_id] += 1
        elif former in AWAITED and state not in AWAITED:
            self._await_less(session.account_id)
        if state in (SessionState.MOVED, SessionState.ENDED):
            self._remove(session)

    def _add_lost(self, session: RecoverableSession) -> None:
        session.lost_at = self._now()
        self._lost[session.recovery_token] = session
        self._lost_of.setdefault(session.account_id, {})[session.recovery_token] = session

    def _remove_lost(self, session: RecoverableSession) -> None:
        self._lost.pop(session.recovery_token, None)
        of_account = self._lost_of.get(session.account_id, {})
        of_account.pop(session.recovery_token, None)
        if not of_account:
            self._lost_of.pop(session.account_id, None)

    def limit_lost(self, account_id: AccountId) -> None:
        """End the session of the account that was lost first, if the account has too many."""
        of_account = self._lost_of.get(account_id)
        if of_account is not None and len(of_account) > MAX_ACCOUNT_LOST:
            self._drop(next(iter(of_account.values())))

    def expire(self) -> None:
        """End sessions that were lost too long ago, or are too many."""
        oldest = self._now() - self._window
        while self._lost:
            session = next(iter(self._lost.values()))
            if session.lost_at < oldest:
                if self._report.verbose:
                    what, reason = "replay after a loss", NotDelivered.WINDOW_OVER
                    self._report.explain(reason, session.account_id, session.connection_id, what)
            elif len(self._lost) > MAX_LOST:
                self._drop(session)
                continue
            else:
                return
            self.enter(session, SessionState.ENDED)

    def _drop(self, session: RecoverableSession) -> None:
        reason = NotDelivered.TOO_MANY_LOST
        self._report.add(reason, session.account_id, session.connection_id, "replay after a loss")
        self.enter(session, SessionState.ENDED)

    def _await_less(self, account_id: AccountId) -> None:
        self._awaited[account_id] -= 1
        if not self._awaited[account_id]:
            del self._awaited[account_id]

    def _remove(self, session: RecoverableSession) -> None:
        if self._by_token.get(session.recovery_token) is session:
            del self._by_token[session.recovery_token]
        if self._by_connection.get(session.connection_id) is session:
            del self._by_connection[session.connection_id]
