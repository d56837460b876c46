"""Connections whose tokens are not accepted any more."""

from typing import Any, cast

import pytest

from happy.crypto import Claims, Keyring
from happy.domain.values import AccountId
from happy.gateway.access import AccessEnforcement
from happy.metrics import Metrics
from happy.services.identity import IdentityService, build_identity
from tests.support.factories import NOW

DAY = 86_400
TOKENS = Keyring("a secret for tests").tokens


class Connection:
    """What the watch looks at."""

    def __init__(self, issued_at: float) -> None:
        self.id = "c"
        self.account_id = AccountId("a")
        self.claims = Claims("a", {}, token_id="t", issued_at=issued_at)
        self.socket = self
        self.closed = False

    def close(self) -> None:
        self.closed = True


class Connections:
    def __init__(self, *connections: Connection) -> None:
        self._connections = connections

    def connections(self, account_id: AccountId | None = None) -> Any:
        return self._connections


def identity(token_days: int | None) -> IdentityService:
    return build_identity(cast("Any", None), TOKENS, lambda: NOW, Metrics(), token_days)


@pytest.mark.parametrize(("token_days", "closed"), [(30, [True, False]), (None, [False, False])])
async def test_open_connections_end_with_the_lifetime_of_their_token(
    token_days: int | None, closed: list[bool]
) -> None:
    connections = [Connection(NOW / 1000 - days * DAY) for days in (31, 29)]
    enforcement = AccessEnforcement(identity(token_days), cast("Any", Connections(*connections)))
    await enforcement.close_expired()

    assert closed == [connection.closed for connection in connections]
