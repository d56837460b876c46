"""Files that belong to no session and no account any more: what crashes and restored backups cause.

A folder counts as orphaned when the session or account in its name has no row, which can never come back:
ids are not used twice. A file of a session that is there is never touched.
"""

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

from happy.domain.amounts import counted
from happy.domain.errors import Conflict
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.store import Store
from happy.domain.progress import Progress, Step
from happy.domain.values import AccountId

AT_ONCE = 500
"""Folders that are looked up together."""


class Folder(NamedTuple):
    """What is stored below a prefix that is named after a session or an account."""

    owner: str
    prefix: str
    kind: str
    files: int
    bytes: int


async def orphaned(store: Store, files: FileStore, progress: Progress) -> list[Folder]:
    """Folders without an owner. One may be listed in several parts.

    Raises Conflict when no folder at all has an owner: the files of another database must not be lost.
    """
    lost: list[Folder] = []
    folders = 0
    async for some in _folders(files, progress):
        folders += len(some)
        lost += await _without_owner(store, some)
    if lost and len(lost) == folders:
        count = counted(sum(folder.files for folder in lost), "file")
        raise Conflict(
            f"nothing of the {count} in the store belongs to this database: see that both settings are of"
            " one server"
        )
    return lost


async def _folders(files: FileStore, progress: Progress) -> AsyncIterator[Sequence[Folder]]:
    """Folders with what is in them, some at a time."""
    found: dict[str, Folder] = {}
    looked_at = 0
    async for item in files.list_all():
        looked_at += 1
        progress(Step("looking at files", looked_at, unit="file"))
        folder = _folder(item.key, item.size)
        if folder is None:
            continue
        if folder.prefix not in found and len(found) == AT_ONCE:
            yield list(found.values())
            found.clear()
        before = found.get(folder.prefix, folder._replace(files=0, bytes=0))
        found[folder.prefix] = before._replace(files=before.files + 1, bytes=before.bytes + item.size)
    yield list(found.values())


def _folder(key: str, size: int) -> Folder | None:
    """Of a key like `sessions/ID/attachments/x` or `public/users/ID/avatars/x`."""
    match key.split("/"):
        case ["sessions", owner, _, *_]:
            return Folder(owner, f"sessions/{owner}/", "session", 1, size)
        case ["public", "users", owner, _, *_]:
            return Folder(owner, f"public/users/{owner}/", "account", 1, size)
    return None


async def _without_owner(store: Store, found: Sequence[Folder]) -> Sequence[Folder]:
    sessions = [folder.owner for folder in found if folder.kind == "session"]
    accounts = [folder.owner for folder in found if folder.kind == "account"]
    there = await store.read(lambda tx: tx.leftovers.sessions_there(sessions)) if sessions else frozenset()
    if accounts:
        there |= await store.read(lambda tx: tx.leftovers.accounts_there(accounts))
    lost = [folder for folder in found if folder.owner not in there]
    return [folder for folder in lost if folder.kind == "session" or not await _shown(store, folder)]


async def _shown(store: Store, folder: Folder) -> bool:
    """Whether another account shows a picture of it: both were linked to the same GitHub user."""
    owner = AccountId(folder.owner)
    return await store.read(lambda tx: tx.deletions.pictures_in_use(owner, folder.prefix))
