"""How many requests of one account are handled at once: a small one may read or answer megabytes."""

from collections.abc import Awaitable, Callable
from functools import partial

from happy.http.framework.endpoint import Endpoint
from happy.http.framework.responses import ResponseSender
from happy.limits import limit
from happy.services.account_slots import AccountSlots
from happy.services.large_work import LARGE_BYTES, LargeWork

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

    def __init__(self, large_work: LargeWork) -> None:
        self._large_work = large_work
        self._large: set[str] = set()  # accounts whose last answer was large, while they have requests
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

        Behind a large answer to what is no read, the next request of the account takes a turn, until an
        answer is small: to read what is stored costs as much as to send it.

        Raises Unavailable when none is free in time.
        """
        if account_id is None or not endpoint.takes_slot:
            await handle()
            return
        slots = self._reads if endpoint.http_methods == {"GET"} else self._writes
        await slots.enter(account_id)
        sender.listen(partial(slots.release, account_id))
        try:
            if slots is self._writes and account_id in self._large:
                async with self._large_work.turn(account_id):
                    await handle()
            else:
                await handle()
        finally:
            sender.ready()
            if slots is self._writes:
                self._note(account_id, sender.size)

    def _note(self, account_id: str, size: int) -> None:
        if size >= LARGE_BYTES and self._writes.in_use(account_id):
            self._large.add(account_id)
        else:
            self._large.discard(account_id)
