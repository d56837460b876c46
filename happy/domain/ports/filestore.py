"""The file store: uploaded bytes by key, on disk or in an object store."""

from collections.abc import AsyncIterator
from typing import Protocol

from msgspec import Struct


class StoredFile(Struct, frozen=True):
    """An object ready to be read: its size in bytes and its contents in chunks."""

    size: int
    chunks: AsyncIterator[bytes]


class ListedObject(Struct, frozen=True):
    """An object as the store lists it: its size in bytes, and a checksum if the store keeps one."""

    key: str
    size: int
    checksum: str


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
        """Whether clients transfer bytes directly to and from the store; then there is no `/files` here."""
        ...

    async def put(self, key: str, chunks: AsyncIterator[bytes], max_bytes: int) -> int:
        """Store an object whole or not at all and return its size. Raises TooLarge above `max_bytes`."""
        ...

    async def ping(self) -> None:
        """Raises Unavailable for a store that is known to take no files. Costs next to nothing."""
        ...

    async def open(self, key: str, offset: int = 0, length: int | None = None) -> StoredFile:
        """Raises NotFound. `size` is that of the whole object, the chunks those of the range."""
        ...

    def list_all(self) -> AsyncIterator[ListedObject]:
        """Every complete object, in pages; what is put or deleted meanwhile may be missing or not."""
        ...

    async def delete_prefix(self, prefix: str) -> None:
        """Remove every object under `prefix`; none is fine."""
        ...

    async def upload_ticket(self, key: str, max_bytes: int, size: int | None = None) -> UploadTicket | None:
        """A permission to upload `key` directly to the store; None: the upload goes through this server.

        `size` is what the client has announced: a store that cannot enforce a limit accepts exactly that, and
        exactly `max_bytes` where nothing that can be a size was announced.
        """
        ...

    async def download_url(self, key: str) -> str | None:
        """A short-lived URL of the store; None: the download goes through this server."""
        ...

    def public_url(self, key: str) -> str:
        """The URL of a file under `public/`, which needs no authentication."""
        ...
