"""What events wait for: rate limits of accounts, taken in portions, and turns of large ones."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Literal

import msgspec

from happy.domain.errors import TooMany
from happy.gateway.engine import Ack
from happy.gateway.hub import Connection, Handler
from happy.services.large_work import LARGE_BYTES, LargeWork
from happy.services.rate_limit import AccountLimit


def throttled(
    handlers: Mapping[str, Handler], limit: AccountLimit, large_work: LargeWork
) -> dict[str, Handler]:
    """The same handlers, which wait while the account sends too many bytes; then, if large, for their turn.

    Nothing is refused or lost: nothing more is read from the connection meanwhile.
    """
    return {name: _throttled(handler, limit, large_work) for name, handler in handlers.items()}


def _throttled(small: Handler, limit: AccountLimit, large_work: LargeWork) -> Handler:
    async def large(connection: Connection, payload: msgspec.Raw | None, ack: Ack | None) -> None:
        await connection.in_flight.ended()  # the answers of earlier events may need turns themselves
        async with large_work.turn(connection.account_id):
            work = small(connection, payload, ack)
            if work is not None:
                await work
            if connection.busy:
                await connection.in_flight.ended()  # it is stored

    def handle(
        connection: Connection, payload: msgspec.Raw | None, ack: Ack | None
    ) -> Awaitable[None] | None:
        allowance, handler = connection.allowance, small
        if payload is not None:
            allowance.bytes -= len(payload)
            if len(payload) >= LARGE_BYTES:
                handler = large
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


def take_one(limit: AccountLimit, connection: Connection, kind: Literal["calls", "heartbeats"]) -> bool:
    """Take a token of this kind for one event; False if the account has none left."""
    left: int = getattr(connection.allowance, kind)
    if not left:
        try:
            left = limit.take_portion(connection.account_id, lambda: connection.socket.client_address)
        except TooMany:
            return False
    setattr(connection.allowance, kind, left - 1)
    return True
