"""Sign-ins that are sent again, at one replica."""

import asyncio
import logging

import pytest

from happy.domain.errors import Unauthenticated, Unavailable
from happy.domain.values import Millis
from happy.metrics import Counter
from happy.services import replays
from happy.services.replays import LIFETIME, REPLAYED, Replays

KEY = bytes(32)


class Elapsed:
    def __init__(self) -> None:
        self.now = Millis(0)

    def __call__(self) -> Millis:
        return self.now


class Away:
    """Redis that cannot be reached, or never answers."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    async def first_address(self, digest: str, address: str, lifetime: int) -> str:
        if self._silent:
            await asyncio.Event().wait()
        raise Unavailable("Redis did not answer")


async def accepted(guard: Replays, address: str, challenge: bytes = b"challenge", key: bytes = KEY) -> bool:
    try:
        await guard.check(key, challenge, address)
    except Unauthenticated as refused:
        return str(refused) != REPLAYED
    return True


async def test_a_sign_in_is_refused_at_another_address_for_ten_minutes(
    caplog: pytest.LogCaptureFixture,
) -> None:
    elapsed, refused = Elapsed(), Counter("replays")
    guard = Replays(elapsed, None, refused)
    assert await accepted(guard, "203.0.113.7")
    elapsed.now = Millis(LIFETIME - 1)
    assert not await accepted(guard, "198.51.100.9")
    assert await accepted(guard, "203.0.113.7")
    assert {(): 1} == refused.values
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "refused a sign-in that was seen before from another address: from 198.51.100.9" == line

    elapsed.now = Millis(LIFETIME)
    assert await accepted(guard, "198.51.100.9")


async def test_what_differs_in_key_or_challenge_is_another_sign_in() -> None:
    guard = Replays(Elapsed(), None, Counter("replays"))

    assert await accepted(guard, "203.0.113.7")
    assert await accepted(guard, "198.51.100.9", challenge=b"another")
    assert await accepted(guard, "198.51.100.9", key=bytes([1] * 32))


async def test_clients_behind_a_proxy_that_does_not_name_them_are_not_told_apart() -> None:
    guard = Replays(Elapsed(), None, Counter("replays"))

    assert await accepted(guard, "")
    assert await accepted(guard, "203.0.113.7")
    assert await accepted(guard, "")


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replays, "MAX_REMEMBERED", 3)
    guard = Replays(Elapsed(), None, Counter("replays"))
    for number in range(5):
        assert await accepted(guard, "203.0.113.7", challenge=bytes([number]))

    assert 3 == len(guard._seen)
    assert not await accepted(guard, "198.51.100.9", challenge=bytes([4]))
    assert await accepted(guard, "198.51.100.9", challenge=bytes([0]))


@pytest.mark.parametrize("silent", [False, True])
async def test_without_redis_each_replica_goes_on_alone(
    silent: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replays, "SHARED_SECONDS", 0.01)
    guard = Replays(Elapsed(), Away(silent=silent), Counter("replays"))

    assert await accepted(guard, "203.0.113.7")
    assert not await accepted(guard, "198.51.100.9")
