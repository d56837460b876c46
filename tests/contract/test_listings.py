"""Lists leave out what is too large to be read with the rest, and say by which key it is found."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
import pytest

from happy.domain.artifacts import Artifact, KvMutation
from happy.domain.ids import new_id
from happy.domain.listing import Large, is_whole
from happy.domain.ports.store import Store
from happy.domain.sessions import MessageDraft, Session, encrypted_content
from happy.domain.values import AccountId, ArtifactId, MessageId, Millis, SessionId
from schema.limits import LARGE_ROW, LIST_BYTES
from tests.support import factories
from tests.support.factories import NOW

SMALL, LARGE = 1_000, LARGE_ROW + 1
SIZES = [LARGE, SMALL, 7 * 2**20, SMALL, SMALL]


async def sessions_of(store: Store, owner: AccountId, sizes: Sequence[int]) -> list[Session]:
    """In the order of lists: the first is the one that was updated last."""
    made = []
    for number, size in enumerate(sizes):
        now = Millis(NOW - number)
        fields = {"last_active_at": now, "updated_at": now, "id": SessionId(f"z{900 - number}")}
        made.append(await factories.session(store, owner, metadata="m" * size, **fields))
    return made


@pytest.mark.parametrize("which", ["recent", "active", "page", "changed"])
async def test_large_sessions_are_listed_by_their_ids(store: Store, which: str) -> None:
    owner = await factories.account(store)
    made = await sessions_of(store, owner, SIZES)
    lists: dict[str, Any] = {
        "recent": lambda tx: tx.sessions.recent(owner, 10),
        "active": lambda tx: tx.sessions.active(owner, Millis(0), 10),
        "page": lambda tx: tx.sessions.page(owner, None, None, 10),
        "changed": lambda tx: tx.sessions.page(owner, None, Millis(1), 10),
    }

    rows = await store.read(lists[which])
    assert [row if len(row.metadata) == SMALL else Large(row.id) for row in made] == rows
    assert not is_whole(rows)
    assert made[2] == await store.read(lambda tx: tx.sessions.get(owner, made[2].id))


async def test_rows_after_a_few_megabytes_are_listed_by_their_ids(store: Store) -> None:
    owner = await factories.account(store)
    size = LARGE_ROW - 1_000
    made = await sessions_of(store, owner, [size] * 40)

    rows = await store.read(lambda tx: tx.sessions.recent(owner, 50))
    whole = [row for row in rows if isinstance(row, Session)]
    assert made[: len(whole)] == whole
    assert [Large(row.id) for row in made[len(whole) :]] == rows[len(whole) :]
    assert LIST_BYTES // size - 1 <= len(whole) <= LIST_BYTES // size + 1


async def test_however_many_large_rows_come_first_all_are_listed(store: Store) -> None:
    owner = await factories.account(store)
    made = await sessions_of(store, owner, [6 * 2**20] * 4 + [SMALL])

    rows = await store.read(lambda tx: tx.sessions.recent(owner, 10))
    assert [row.id for row in made] == [row.key if isinstance(row, Large) else row.id for row in rows]


@pytest.mark.parametrize("which", ["after", "before", "newest"])
async def test_large_messages_are_listed_by_their_numbers(store: Store, which: str) -> None:
    owner = await factories.account(store)
    session = (await factories.session(store, owner)).id
    drafts = [MessageDraft(MessageId(new_id(NOW)), None, encrypted_content("c" * size)) for size in SIZES]
    created = (await store.messages.append(owner, session, drafts, NOW)).created
    lists = {
        "after": lambda: store.messages.after(owner, session, 0, 10),
        "before": lambda: store.messages.before(owner, session, 100, 10),
        "newest": lambda: store.messages.newest(owner, session, 10),
    }

    rows = await lists[which]()
    found = [row.key if isinstance(row, Large) else row.seq for row in rows]
    assert found == ([1, 2, 3, 4, 5] if which == "after" else [5, 4, 3, 2, 1])
    assert {1, 3} == {row.key for row in rows if isinstance(row, Large)}
    loaded = await store.messages.one(owner, session, 3)
    assert loaded is not None
    assert len(created[2].content) == pytest.approx(len(loaded.content), abs=10)
    assert None is await store.messages.one(owner, session, 6)
    assert None is await store.messages.one(AccountId("stranger"), session, 3)


async def test_large_machines_artifacts_and_entries_are_listed_by_their_keys(store: Store) -> None:
    owner = await factories.account(store)
    artifact = Artifact(ArtifactId("large"), b"h" * LARGE, 1, b"", 1, b"", 0, NOW, NOW)
    machine = await factories.machine(store, owner, metadata="m" * LARGE)
    await store.write(lambda tx: tx.artifacts.add(owner, artifact))
    for key, size in (("a", SMALL), ("b", LARGE), ("c", SMALL)):
        value = KvMutation(key, b"v" * size, -1)
        await store.write(partial(_put, owner, value))

    assert [Large(machine.id)] == await store.read(lambda tx: tx.machines.owned(owner))
    assert [Large("large")] == await store.read(lambda tx: tx.artifacts.owned(owner, 10))
    summary = await store.read(lambda tx: tx.artifacts.summary(owner, artifact.id))
    assert summary is not None
    assert msgspec.structs.asdict(summary).items() <= msgspec.structs.asdict(artifact).items()
    for rows in (
        await store.read(lambda tx: tx.kv.page(owner, "", 10)),
        await store.read(lambda tx: tx.kv.given(owner, ["c", "b", "a", "none"])),
    ):
        assert ["a", Large("b"), "c"] == [row if isinstance(row, Large) else row.key for row in rows]


async def _put(owner: AccountId, value: KvMutation, tx: Any) -> Any:
    return await tx.kv.put(owner, new_id(NOW), value, NOW)
