"""Authenticate the bearer token of a request (protocol: http#authentication)."""

import logging
from collections.abc import Mapping

from happy.domain.errors import HappyError, Unauthenticated
from happy.domain.values import AccountId
from happy.services.identity import IdentityService

SCHEME = b"Bearer "

log = logging.getLogger(__name__)


async def caller(identity: IdentityService, headers: Mapping[bytes, bytes]) -> AccountId:
    """The account of the token. Raises Unauthenticated, or Unavailable if it cannot be checked now."""
    value = headers.get(b"authorization", b"")
    token = value[len(SCHEME) :]
    if not value.startswith(SCHEME) or not token:
        raise Unauthenticated("Missing authorization header")
    try:
        return await identity.authenticate(token.decode("latin-1"))
    except HappyError:
        raise
    except Exception as error:
        log.exception("a token could not be checked")
        raise Unauthenticated("Authentication failed") from error
