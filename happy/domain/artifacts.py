"""Artifacts and key-value entries: versioned ciphertext that clients keep on the server."""

from collections.abc import Mapping, Sequence

from msgspec import Struct

from happy.domain.values import ArtifactId, Millis, Versioned


class Artifact(Struct, frozen=True, rename="camel"):
    """`seq` counts updates; `header`, `body` and `data_encryption_key` are opaque."""

    id: ArtifactId
    header: bytes
    header_version: int
    body: bytes
    body_version: int
    data_encryption_key: bytes
    seq: int
    created_at: Millis
    updated_at: Millis


class ArtifactSummary(Struct, frozen=True, rename="camel"):
    """An artifact without its body, as lists show it."""

    id: ArtifactId
    header: bytes
    header_version: int
    data_encryption_key: bytes
    seq: int
    created_at: Millis
    updated_at: Millis


class ArtifactEdit(Struct, frozen=True):
    """New contents, each with the version it replaces; a part that is None is kept."""

    header: Versioned[bytes] | None
    body: Versioned[bytes] | None


class ArtifactSwap(Struct, frozen=True):
    """Outcome of an edit: the artifact as it is stored now, and whether the edit is in it."""

    won: bool
    current: Artifact


class AccessKey(Struct, frozen=True, rename="camel"):
    """A key with which one machine reads one session; `data` is opaque."""

    data: str
    data_version: int
    created_at: Millis
    updated_at: Millis


class KvEntry(Struct, frozen=True):
    """A stored value; None is that of a deleted key, which keeps its version."""

    key: str
    value: bytes | None
    version: int


class KvMutation(Struct, frozen=True):
    """A value to store, None to delete, if the key is still at `version`; -1 means never stored."""

    key: str
    value: bytes | None
    version: int


ABSENT = -1


def stale(mutations: Sequence[KvMutation], stored: Mapping[str, KvEntry]) -> list[KvEntry]:
    """The stored entry of each mutation that expected another version, in the order of the mutations."""
    found = [(stored.get(wanted.key, KvEntry(wanted.key, None, ABSENT)), wanted) for wanted in mutations]
    return [entry for entry, wanted in found if entry.version != wanted.version]
