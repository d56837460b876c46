"""Admission of requests: limits of addresses, authentication, limits of accounts; before a body is read."""

from collections.abc import Mapping
from functools import partial

from happy.crypto import Claims
from happy.domain.values import AccountId
from happy.http.framework import body
from happy.http.framework.asgi import Message, Receive, Scope
from happy.http.framework.auth import caller
from happy.http.framework.endpoint import Endpoint
from happy.http.framework.origin import client
from happy.services.client_addresses import ClientAddresses
from happy.services.identity import IdentityService
from happy.services.rate_limit import AddressLimit, RateLimits

UNANNOUNCED_BYTES = 10_000_000
"""What a body in chunks counts for, as nobody knows its size before it has arrived. Clients send none."""


class Admission:
    def __init__(self, identity: IdentityService, addresses: ClientAddresses, limits: RateLimits) -> None:
        self.addresses = addresses
        self._identity = identity
        self._limits = limits

    async def admit(self, endpoint: Endpoint, scope: Scope, headers: Mapping[bytes, bytes]) -> Claims | None:
        """Whose request it is, if that matters. Raises Unauthenticated, Unavailable, TooMany."""
        get_address = partial(client, scope, self.addresses)
        if endpoint.rate is not None:
            limit: AddressLimit = getattr(self._limits, endpoint.rate)
            await limit.take(get_address())
        if endpoint.public:
            return None
        claims = await caller(self._identity, scope, headers, self.addresses)
        if size := UNANNOUNCED_BYTES if b"transfer-encoding" in headers else body.announced(headers):
            self._limits.bytes.take(AccountId(claims.account_id), size, get_address)
        return claims

    def receiving(self, claims: Claims | None, receive: Receive) -> Receive:
        """The same, but raises Unauthenticated once the token is taken back: bodies may take minutes."""
        if claims is None:
            return receive

        async def checked() -> Message:
            message = await receive()
            self._identity.require_accepted(claims)
            return message

        return checked
