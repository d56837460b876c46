"""Identifies clients, closes connections whose tokens are not accepted any more, notes those of open ones.

protocol: realtime#handshake
"""

import logging
from collections.abc import Iterable, Mapping

import msgspec

from happy.crypto import Claims
from happy.domain.errors import StartupError, Unauthenticated, Unavailable
from happy.domain.values import AccountId
from happy.gateway.engine import Refused, Socket
from happy.gateway.handshake import INVALID_TOKEN, Handshake, Refusal
from happy.gateway.handshake import read as read_handshake
from happy.gateway.hub import Connection, Hub
from happy.services.background import Job, repeat
from happy.services.identity import IdentityService
from happy.services.revocations import POLL_SECONDS
from happy.services.token_uses import FLUSH_SECONDS, INTERVAL_SECONDS

UNNAMED = "unknown"
"""What the handshake has for a client that does not say what it is."""

EXPIRY_SECONDS = 60.0

log = logging.getLogger(__name__)


async def enforce_access(identity: IdentityService, hub: Hub) -> list[Job]:
    """Know all revocations before the first request; the jobs keep to them. Raises StartupError."""
    enforcement = AccessEnforcement(identity, hub)
    identity.revocations.listen(enforcement.close_refused)
    try:
        await identity.revocations.load()
    except Unavailable as error:
        raise StartupError(f"cannot read the revoked tokens: {error}") from error
    return [
        repeat("read revocations", POLL_SECONDS, identity.revocations.poll),
        repeat("forget revocations of deleted accounts", 3600, identity.revocations.sweep),
        repeat("note tokens of open connections", INTERVAL_SECONDS, enforcement.note_open),
        repeat("close connections of expired tokens", EXPIRY_SECONDS, enforcement.close_expired),
        repeat("write uses of tokens", FLUSH_SECONDS, identity.uses.flush),
    ]


async def identify(
    identity: IdentityService, socket: Socket, auth: msgspec.Raw | None, headers: Mapping[str, str]
) -> tuple[Handshake, Claims]:
    """The handshake, and whose it is. Raises Refused, which is counted and logged, and Unavailable."""
    try:
        handshake = read_handshake(auth, headers)
        return handshake, await identity.identify(handshake.token, lambda: socket.client_address)
    except Refusal as refusal:
        if refusal.token is not None:
            identity.refused(refusal.token, socket.client_address)
        raise Refused(str(refusal)) from None
    except Unauthenticated:
        raise Refused(INVALID_TOKEN) from None


class AccessEnforcement:
    def __init__(self, identity: IdentityService, hub: Hub) -> None:
        self._identity = identity
        self._hub = hub

    def close_refused(self, account_id: AccountId) -> None:
        """Without a DISCONNECT packet: the client reconnects, and is refused because its token is invalid."""
        self._close(self._hub.connections(account_id))

    async def close_expired(self) -> None:
        """The expiry of a token is not announced. Without a lifetime of tokens there is nothing to do."""
        if self._identity.revocations.tokens_expire:
            self._close(self._hub.connections())

    def _close(self, connections: Iterable[Connection]) -> None:
        for connection in connections:
            if connection.claims is not None and self._identity.refuses(connection.claims):
                fields = {"account": connection.account_id, "connection": connection.id}
                log.info("a connection was closed: its token is refused from now on", extra=fields)
                connection.socket.close()

    async def note_open(self) -> None:
        """A connection may be open for weeks, and would not count as a use."""
        for connection in self._hub.connections():
            note_use(self._identity, connection)


def note_use(identity: IdentityService, connection: Connection, agent: str = "") -> None:
    """Note that the token of this connection is in use, if that is due."""
    name = "" if connection.client == UNNAMED else connection.client
    if connection.claims is not None and identity.uses.is_due(connection.claims, named=bool(name)):
        address = connection.socket.client_address.text
        identity.uses.note(connection.claims, name, agent, address)
