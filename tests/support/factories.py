"""Rows to begin a test with, made through the ports, so that they exist in whatever database runs."""

import itertools
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from happy.domain.ids import new_id
from happy.domain.listing import Large, is_whole
from happy.domain.machines import Machine
from happy.domain.ports.store import Store, Transaction
from happy.domain.sessions import Message, MessageDraft, Session, encrypted_content
from happy.domain.values import AccountId, MachineId, MessageId, Millis, SessionId

NOW = Millis(1_700_000_000_000)
NOBODY = AccountId("nobody")

_keys = itertools.count(1)
T = TypeVar("T")


def unused_key() -> str:
    """A public key, as accounts and linking requests store it."""
    return f"{next(_keys):064X}"


async def account(store: Store, key: str | None = None, now: Millis = NOW) -> AccountId:
    fresh = AccountId(new_id(now))
    stored = key or unused_key()
    return await store.write(lambda tx: tx.accounts.upsert(fresh, stored, now))


def some_session(owner: AccountId, tag: str | None = None, now: Millis = NOW, **fields: Any) -> Session:
    """A new session that is not stored yet."""
    session_id = SessionId(new_id(now))
    fresh = Session(
        id=session_id,
        account_id=owner,
        tag=tag or session_id,
        seq=0,
        metadata="metadata",
        metadata_version=0,
        agent_state=None,
        agent_state_version=0,
        data_encryption_key=None,
        active=True,
        last_active_at=now,
        created_at=now,
        updated_at=now,
    )
    return msgspec.structs.replace(fresh, **fields)


async def session(store: Store, owner: AccountId, **fields: Any) -> Session:
    fresh = some_session(owner, **fields)
    assert await store.write(lambda tx: tx.sessions.add(fresh))
    return fresh


def some_machine(
    owner: AccountId, machine_id: str | None = None, now: Millis = NOW, **fields: Any
) -> Machine:
    """A new machine that is not stored yet."""
    fresh = Machine(
        id=MachineId(machine_id or new_id(now)),
        account_id=owner,
        seq=0,
        metadata="metadata",
        metadata_version=1,
        daemon_state=None,
        daemon_state_version=0,
        data_encryption_key=None,
        active=False,
        last_active_at=now,
        created_at=now,
        updated_at=now,
    )
    return msgspec.structs.replace(fresh, **fields)


async def machine(store: Store, owner: AccountId, machine_id: str | None = None, **fields: Any) -> Machine:
    fresh = some_machine(owner, machine_id, **fields)
    assert await store.write(lambda tx: tx.machines.add(fresh))
    return fresh


async def stored_session(store: Store, owner: AccountId, session_id: SessionId) -> Session:
    found = await store.read(lambda tx: tx.sessions.get(owner, session_id))
    assert found is not None
    return found


async def stored_machine(store: Store, owner: AccountId, machine_id: MachineId) -> Machine:
    found = await store.read(lambda tx: tx.machines.get(owner, machine_id))
    assert found is not None
    return found


def draft(text: str = "secret", local_id: str | None = None, now: Millis = NOW) -> MessageDraft:
    return MessageDraft(MessageId(new_id(now)), local_id, encrypted_content(text))


def whole(rows: Sequence[T | Large]) -> list[T]:
    """The rows of a page, none of which was too large to be read with the others."""
    assert is_whole(rows)
    return rows


def text_of(message: Message) -> str:
    """What `draft` was given."""
    return str(msgspec.json.decode(message.content)["c"])


async def account_seq(store: Store, account_id: AccountId) -> int:
    """How many update numbers the account has used."""
    return await store.write(lambda tx: tx.accounts.next_seq(account_id, 0, NOW))


def in_turn(*steps: Callable[[Transaction], Awaitable[Any]]) -> Callable[[Transaction], Awaitable[list[Any]]]:
    """A unit of work that takes these steps and returns what each of them did."""

    async def body(tx: Transaction) -> list[Any]:
        return [await step(tx) for step in steps]

    return body
