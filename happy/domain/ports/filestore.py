"""Where uploaded bytes live."""

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct


class StoredFile(Struct, frozen=True):
    """An object ready to be read: its size in bytes and its contents in chunks."""

    size: int
    chunks: AsyncIterator[bytes]


class UploadTicket(Struct, frozen=True):
    """How a client uploads one object by itself."""

    url: str
    method: str
    form_fields: dict[str, str] | None = None
    """What a form holds besides the file; None: the body is the file."""


class FileStore(Protocol):
    """Uploaded bytes by key. Keys are built by the core, never taken from a client."""

    @property
    def direct(self) -> bool:
        """Whether clients read and write the bytes past this server, so that it offers no way through."""
        ...

    async def put(self, key: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        """Store an object whole or not at all and return its size. Raises TooLarge past `max_bytes`."""
        ...

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        """Raises NotFound. `size` is that of the whole object, the chunks those of the range."""
        ...

    async def delete_prefix(self, prefix: str) -> None:
        """Remove every object under `prefix`; none is fine."""
        ...

    async def upload_ticket(self, key: str, max_bytes: int, size: int | None = None) -> UploadTicket | None:
        """Leave to upload `key` past this server, or None when it has to come through us.

        `size` is what the client has announced: where the store knows no limits, it is the only one taken.
        """
        ...

    async def download_url(self, key: str) -> str | None:
        """A short-lived address outside this server, or None when it has to come through us."""
        ...

    def public_url(self, key: str) -> str:
        """The address at which anybody can read a file under `public/`."""
        ...
