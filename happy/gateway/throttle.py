"""Rate limits of accounts for the events of their connections, which take their tokens in portions."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from happy.domain.errors import TooMany
from happy.gateway.engine import Ack
from happy.gateway.hub import Connection, Handler
from happy.services.rate_limit import AccountLimit


def throttled(handlers: Mapping[str, Handler], limit: AccountLimit) -> dict[str, Handler]:
    """The same handlers, which wait while the account sends too many bytes.

    Nothing is refused or lost: nothing more is read from the connection meanwhile.
    """
    return {name: _throttled(handler, limit) for name, handler in handlers.items()}


def _throttled(handler: Handler, limit: AccountLimit) -> Handler:
    def handle(
        connection: Connection, payload: msgspec.Raw | None, ack: Ack | None
    ) -> Awaitable[None] | None:
        allowance = connection.allowance
        if payload is not None:
            allowance.bytes -= len(payload)
        if allowance.bytes >= 0:
            return handler(connection, payload, ack)
        tokens = max(limit.portion, -allowance.bytes)
        allowance.bytes += tokens
        wait = limit.reserve(connection.account_id, tokens, lambda: connection.socket.client_address)
        later = partial(handler, connection, payload, ack)
        return handle_later(wait, later) if wait else later()

    return handle


async def handle_later(seconds: float, handle: Callable[[], Awaitable[None] | None]) -> None:
    await asyncio.sleep(seconds)
    work = handle()
    if work is not None:
        await work


def allows(limit: AccountLimit, connection: Connection) -> bool:
    """Whether the connection may make one more call."""
    allowance = connection.allowance
    if not allowance.calls:
        try:
            taken = limit.take_portion(connection.account_id, lambda: connection.socket.client_address)
        except TooMany:
            return False
        allowance.calls = taken
    allowance.calls -= 1
    return True
