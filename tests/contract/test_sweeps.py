"""What the server forgets by itself goes in transactions that keep nobody waiting, however much there is."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from happy.crypto import derive
from happy.domain.accounts import PairingKind
from happy.domain.ids import new_id
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import HOUR, Millis
from happy.metrics import Counter
from happy.services import batches
from happy.services.pairing import PairingService
from happy.services.registration import Registration
from happy.services.replays import Replays
from tests.support import factories
from tests.support.factories import NOW

FORGOTTEN = 40
T = TypeVar("T")


class CountingStore:
    """Passes everything on, and counts what each transaction wrote."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.messages = store.messages
        self.read = store.read
        self.ping = store.ping
        self.batch_seconds = 1e-9  # one row each
        self.writes = 0

    async def write(self, body: Callable[[Transaction], Awaitable[T]]) -> T:
        self.writes += 1
        return await self._store.write(body)


def later() -> Millis:
    return Millis(NOW + 48 * HOUR)


async def open_requests(store: Store, kind: PairingKind, count: int) -> None:
    async def fill(tx: Transaction) -> None:
        for _ in range(count):
            await tx.pairings.open(kind, new_id(NOW), factories.unused_key(), NOW, supports_v2=False)

    await store.write(fill)


async def test_expired_linking_requests_were_deleted_in_one_long_transaction(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "PAUSE_SECONDS", 0)
    await open_requests(store, "terminal", FORGOTTEN)
    await open_requests(store, "account", FORGOTTEN)
    counting: Any = CountingStore(store)
    registration = Registration(counting, "open", (), later, Counter("refusals", "reason"))
    pairing = PairingService(
        counting, derive("secret").tokens, later, registration, Replays(later, None, Counter("replays"))
    )
    await pairing.sweep()

    assert 2 * FORGOTTEN + 2 == counting.writes
    assert 0 == await store.write(lambda tx: tx.pairings.drop_unanswered(Millis(NOW + 48 * HOUR), 1))
