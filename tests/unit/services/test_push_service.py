"""Pushing events when presence, the store or the push service misbehave."""

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Any

import pytest

from happy.domain.errors import NotFound, Unavailable
from happy.domain.ports.presence import FOREGROUND, Holder
from happy.domain.push import Notification, PushOutcome, Ticket
from happy.domain.values import AccountId, ConnectionId, ReplicaId, SessionId
from happy.services import push
from happy.services.push import PushService
from happy.services.rate_limit import RateLimits
from tests.support import factories
from tests.unit.services.world import World

HOLDER = Holder(ReplicaId("n"), ConnectionId("c"))
DONE = Notification("Done", "All tests pass", {})
OK = Ticket()


class Sender:
    """Answers with these tickets, or with what it raises."""

    def __init__(self, *tickets: Ticket, raises: Exception | None = None) -> None:
        self.tickets = list(tickets)
        self.raises = raises
        self.sent: list[tuple[Notification, list[str], float]] = []

    async def send(self, notification: Notification, tokens: Sequence[str], seconds: float) -> list[Ticket]:
        self.sent.append((notification, list(tokens), seconds))
        if self.raises is not None:
            raise self.raises
        return self.tickets


class Presence:
    """Never tells who is there."""

    def __init__(self, answer: Awaitable[Any] | Exception) -> None:
        self.answer = answer

    async def claim(self, account_id: AccountId, name: str, holder: Holder) -> None: ...

    async def release(self, account_id: AccountId, name: str, holder: Holder) -> None: ...

    async def holders(self, account_id: AccountId, name: str) -> Sequence[Holder]:
        if isinstance(self.answer, Exception):
            raise self.answer
        await self.answer
        return [HOLDER]


async def outcome_of(
    world: World, owner: AccountId, sender: Sender, presence: Any = None, session: str | None = None
) -> PushOutcome:
    limit = RateLimits().pushes
    service = PushService(world.store, world.sink, presence or world.presence, sender, world.clock, limit)
    session_id = SessionId(session or (await factories.session(world.store, owner)).id)
    return await service.session_event(owner, session_id, "done", DONE)


async def add_token(world: World, owner: AccountId, token: str) -> None:
    await world.store.write(
        lambda tx: tx.accounts.add_push_token(owner, f"id of {token}", token, world.clock())
    )


async def tokens_of(world: World, owner: AccountId) -> list[str]:
    return [each.token for each in await world.store.read(lambda tx: tx.accounts.push_tokens(owner))]


async def test_a_push_for_a_foreign_session_is_not_found(world: World, owner: AccountId) -> None:
    sender = Sender(OK)
    await add_token(world, owner, "t")

    with pytest.raises(NotFound):
        await outcome_of(world, owner, sender, session="unknown")
    assert ([], []) == (world.sink.published, sender.sent)


async def test_a_push_gets_eight_seconds(world: World, owner: AccountId) -> None:
    sender = Sender(OK)
    await add_token(world, owner, "t")

    assert PushOutcome("sent", tokens=1) == await outcome_of(world, owner, sender)
    ((notification, tokens, seconds),) = sender.sent
    assert (["t"], 8.0, "done") == (tokens, seconds, notification.data["kind"])


async def test_an_app_in_the_foreground_gets_the_event_but_no_push(world: World, owner: AccountId) -> None:
    sender = Sender(OK)
    await add_token(world, owner, "t")
    await world.presence.claim(owner, FOREGROUND, HOLDER)

    assert PushOutcome("suppressed", reason="active-ui-client") == await outcome_of(world, owner, sender)
    assert [] == sender.sent
    assert ["session-event"] == [wire["type"] for wire in world.sink.wires()]


@pytest.mark.parametrize("error", [Unavailable(), ConnectionError(), ZeroDivisionError()])
async def test_presence_that_fails_suppresses_nothing(
    world: World, owner: AccountId, error: Exception
) -> None:
    await add_token(world, owner, "t")

    assert "sent" == (await outcome_of(world, owner, Sender(OK), Presence(error))).result


async def test_presence_that_hangs_suppresses_nothing(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push, "PRESENCE_SECONDS", 0.01)
    await add_token(world, owner, "t")
    presence = Presence(asyncio.get_running_loop().create_future())

    assert "sent" == (await outcome_of(world, owner, Sender(OK), presence)).result


@pytest.mark.parametrize(
    ("error", "reason"),
    [(Unavailable("no database"), "no database"), (ZeroDivisionError("secret"), "Internal error")],
)
async def test_a_failure_is_an_outcome(world: World, owner: AccountId, error: Exception, reason: str) -> None:
    await add_token(world, owner, "t")
    outcome = await outcome_of(world, owner, Sender(raises=error))

    assert PushOutcome("failed", reason=reason) == outcome
    assert ["session-event"] == [wire["type"] for wire in world.sink.wires()]


async def test_only_dead_tokens_of_this_account_are_dropped(world: World, owner: AccountId) -> None:
    other = await factories.account(world.store)
    await add_token(world, owner, "dead")
    await world.store.write(
        lambda tx: tx.accounts.add_push_token(other, "id of theirs", "dead", world.clock())
    )
    await outcome_of(world, owner, Sender(Ticket("DeviceNotRegistered", gone=True)))

    assert ([], ["dead"]) == (await tokens_of(world, owner), await tokens_of(world, other))


async def test_a_dead_token_that_cannot_be_dropped_changes_no_outcome(
    world: World, owner: AccountId, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(body: Any) -> None:
        raise Unavailable

    await add_token(world, owner, "dead")
    session = await factories.session(world.store, owner)
    monkeypatch.setattr(world.store, "write", refuse)
    outcome = await outcome_of(
        world, owner, Sender(Ticket("DeviceNotRegistered", gone=True)), session=session.id
    )

    assert PushOutcome("failed", reason="DeviceNotRegistered") == outcome
