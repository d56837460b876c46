"""Copies profile pictures into the file store (protocol: operations#avatar-processing)."""

import logging
from collections.abc import AsyncIterator

from msgspec import Struct

from happy.domain.accounts import Avatar, user_folder
from happy.domain.errors import HappyError
from happy.domain.ids import file_key, new_id
from happy.domain.ports.filestore import FileStore
from happy.domain.ports.outbound import AvatarSource
from happy.domain.ports.store import Store, Transaction
from happy.domain.values import AccountId, Millis

log = logging.getLogger(__name__)


class Copy(Struct, frozen=True):
    """A picture in the file store. A new one has no row yet."""

    avatar: Avatar
    reuse_key: str
    new: bool


class AvatarService:
    def __init__(self, store: Store, source: AvatarSource, files: FileStore) -> None:
        self._store = store
        self._source = source
        self._files = files

    async def copy(self, account_id: AccountId, url: str) -> Copy:
        """The picture at `url`, downloaded unless there is a stored copy. Raises HappyError."""
        reuse_key = f"image-url:{url}"
        known = await self._store.read(lambda tx: tx.uploads.reusable(reuse_key))
        if known is not None:
            return Copy(known, reuse_key, new=False)
        found = await self._source.fetch(url)
        path = f"{user_folder(account_id)}avatars/{file_key('github')}.{found.extension}"
        await self._files.put(path, _whole(found.content), len(found.content))
        return Copy(Avatar(path, found.width, found.height, found.thumbhash), reuse_key, new=True)

    async def keep(self, tx: Transaction, account_id: AccountId, copy: Copy, now: Millis) -> None:
        """Add the row of a new copy, within the caller's transaction."""
        if copy.new:
            await tx.uploads.add(account_id, new_id(now), copy.avatar, copy.reuse_key, now)

    async def discard(self, copy: Copy) -> None:
        """Delete the file of a new copy whose row was not added."""
        if not copy.new:
            return
        try:
            await self._files.delete_prefix(copy.avatar.path)
        except HappyError:
            log.warning("an unused picture was left behind", exc_info=True)

    def public_url(self, avatar: Avatar) -> str:
        return self._files.public_url(avatar.path)


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
