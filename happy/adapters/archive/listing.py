"""Lists of a manifest that may have millions of entries: in a temporary file, never in memory."""

import shutil
import tempfile
from collections.abc import Iterator
from itertools import chain
from typing import IO, Final

import msgspec
from msgspec import Struct

from happy.adapters.archive.format import CHUNK_BYTES, MANIFEST, ArchiveDamaged, Manifest, Member

IN_MEMORY: Final = 4_000_000
EMPTY_LIST: Final = b"[]"
BEGINNING: Final = b'{"members":['
"""Of every manifest that this program writes."""

_encode = msgspec.json.Encoder().encode


class Listing:
    """Entries as JSON in their order, with commas between them: an array without its brackets."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - as long as this
        self.count = 0

    def add(self, entry: Struct) -> None:
        """Raises OSError where temporary files have no room."""
        self._file.write((b"," if self.count else b"") + _encode(entry))
        self.count += 1

    def chunks(self) -> Iterator[bytes]:
        """All of it; nothing is added meanwhile."""
        self._file.seek(0)
        while chunk := self._file.read(CHUNK_BYTES):
            yield chunk

    def copy_into(self, target: IO[bytes]) -> None:
        self._file.seek(0)
        shutil.copyfileobj(self._file, target, CHUNK_BYTES)


def write_manifest(manifest: Manifest, members: Listing, listed_files: Listing) -> IO[bytes]:
    """The JSON of a manifest whose own lists are empty, with these instead; at its end."""
    content = msgspec.json.encode(manifest)
    file: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - the caller closes it
    for name, listing in (("members", members), ("listed_files", listed_files)):
        before, found, content = content.partition(f'"{name}":'.encode() + EMPTY_LIST)
        assert found, f"{name} is an empty list"
        file.write(before + found.removesuffix(EMPTY_LIST) + b"[")
        listing.copy_into(file)
        file.write(b"]")
    file.write(content)
    return file


def read_manifest(content: IO[bytes], members: Listing) -> Manifest:
    """The manifest, without its members, which must be these. Raises ArchiveDamaged.

    They are compared as they are written, so that memory does not grow with their number.
    """
    passed = 0
    for chunk in chain([BEGINNING], members.chunks()):
        found = content.read(len(chunk))
        if found != chunk:
            return _compare_entries(_beginning(members, passed) + found + content.read(), members)
        passed += len(chunk)
    rest = content.read()
    if not rest.startswith(b"]"):
        return _compare_entries(_beginning(members, passed) + rest, members)
    return _decoded(BEGINNING + rest)


def _beginning(members: Listing, size: int) -> bytes:
    """So many bytes of the manifest as this program writes it."""
    return b"".join((BEGINNING, *members.chunks()))[:size]


def _compare_entries(content: bytes, members: Listing) -> Manifest:
    """Of a manifest in another form, such as with spaces: it may list the same. Raises ArchiveDamaged."""
    manifest = _decoded(content)
    found = msgspec.json.decode(b"[" + b"".join(members.chunks()) + b"]", type=list[Member])
    if found != manifest.members:
        pairs = zip(found, manifest.members, strict=False)
        wrong = next((one.name for one, listed in pairs if one != listed), "its number of members")
        raise ArchiveDamaged(f"{wrong} differs from what the manifest lists")
    return msgspec.structs.replace(manifest, members=[])


def _decoded(content: bytes) -> Manifest:
    try:
        return msgspec.json.decode(content, type=Manifest)
    except msgspec.DecodeError as error:
        raise ArchiveDamaged(f"{MANIFEST} cannot be read: {error}") from None
