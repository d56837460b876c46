"""How many requests of one account are handled at once: a small one may read or answer megabytes."""

from collections.abc import Awaitable, Callable
from functools import partial

from happy.http.framework.endpoint import Endpoint
from happy.http.framework.responses import ResponseSender
from happy.limits import limit
from happy.services.account_slots import AccountSlots

MAX_READS = limit(
    4,
    "GET requests that are handled at once, up to their answer",
    per="account and replica",
    then="they wait",
)
"""An app reads some eight lists when it starts, each for a few ms."""

MAX_READ_WAIT = limit(
    5.0,
    "s that a GET request waits for others of its account",
    per="request",
    then="503",
)

MAX_WRITES = limit(
    4,
    "other requests, but for messages and attachments, that are handled at once, up to their answer",
    per="account and replica",
    then="they wait",
)
"""Several answer with what is stored: 4 MB to each of fifty bytes."""

MAX_WRITE_WAIT = limit(
    10.0,
    "s that such a request waits for others of its account",
    per="request",
    then="503",
)


class Concurrency:
    """Of one process."""

    def __init__(self) -> None:
        self._reads = AccountSlots(MAX_READS, MAX_READ_WAIT)
        self._writes = AccountSlots(MAX_WRITES, MAX_WRITE_WAIT)

    async def handle(
        self,
        endpoint: Endpoint,
        account_id: str | None,
        sender: ResponseSender,
        handle: Callable[[], Awaitable[None]],
    ) -> None:
        """Handle a request once it has a slot; the next one follows as its answer begins.

        Raises Unavailable when none is free in time.
        """
        if account_id is None or not endpoint.takes_slot:
            await handle()
            return
        slots = self._reads if endpoint.http_methods == {"GET"} else self._writes
        await slots.enter(account_id)
        sender.listen(partial(slots.release, account_id))
        try:
            await handle()
        finally:
            sender.ready()
