"""A body that is longer than what is held of one at once: it is used piece by piece while it arrives."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

from happy.http.framework.body_memory import BodyShare


class LongBodies(NamedTuple):
    """An endpoint takes them, up to `limit` bytes. Its handler gets `data` instead of the decoded body."""

    limit: int
    data: Any


class LongBody:
    """Its chunks, each of which counts as held until its bytes were `used`."""

    def __init__(self, chunks: AsyncIterator[bytes], share: BodyShare) -> None:
        self._chunks = chunks
        self._share = share

    async def chunks(self) -> AsyncIterator[bytes]:
        """Raises ClientGone and Unavailable."""
        async for chunk in self._chunks:
            await self._share.take(len(chunk))
            yield chunk
        self._share.complete()

    def used(self, size: int) -> None:
        self._share.give(size)
