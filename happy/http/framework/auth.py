"""Authenticate the bearer token of a request (protocol: http#authentication)."""

import logging
from collections.abc import Mapping
from functools import partial

from happy.crypto import Claims
from happy.domain.errors import HappyError, Unauthenticated
from happy.domain.revocations import Refused
from happy.http.framework.asgi import Scope
from happy.http.framework.origin import client
from happy.services.client_addresses import ClientAddresses
from happy.services.identity import IdentityService

SCHEME = b"Bearer "

log = logging.getLogger(__name__)


async def caller(
    identity: IdentityService, scope: Scope, headers: Mapping[bytes, bytes], addresses: ClientAddresses
) -> Claims:
    """What the token says. Raises Unauthenticated, or Unavailable if it cannot be checked now."""
    value = headers.get(b"authorization", b"")
    token = value[len(SCHEME) :]
    get_address = partial(client, scope, addresses)
    if not value.startswith(SCHEME) or not token:
        raise identity.refused(Refused.MISSING, get_address(), "Missing authorization header")
    try:
        claims = await identity.identify(token.decode("latin-1"), get_address)
    except HappyError:
        raise
    except Exception as error:
        log.exception("a token could not be checked")
        raise Unauthenticated("Authentication failed") from error
    name = headers.get(b"x-happy-client", b"")
    if identity.uses.is_due(claims, named=bool(name)):
        agent = headers.get(b"user-agent", b"")
        address = get_address().text
        identity.uses.note(claims, name.decode("latin-1"), agent.decode("latin-1"), address)
    return claims
