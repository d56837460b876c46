"""Events about artifacts (protocol: realtime#artifacts)."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import TypeVar

import msgspec
from msgspec import Struct

from happy.domain.artifacts import Artifact, ArtifactSwap
from happy.domain.errors import Conflict, Invalid, NotFound
from happy.domain.json_text import scalar
from happy.domain.values import ArtifactId, Millis, Versioned
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.large_answers import LargeAnswers
from happy.gateway.events.payloads import (
    ArtifactCreate,
    ArtifactPart,
    ArtifactRead,
    ArtifactUpdate,
    parse,
    version,
)
from happy.gateway.hub import Connection, Handler
from happy.gateway.in_flight import Key
from happy.services.artifacts import ArtifactService, NewArtifactContents, Part

Payload = msgspec.Raw | None
T = TypeVar("T")
Shown = tuple[int, Mapping[str, object]]
"""An upper bound of the bytes in an answer, and its fields."""

INVALID = "Invalid parameters"


_decode_part = msgspec.json.Decoder(ArtifactPart).decode


class RtArtifact(Struct, frozen=True, rename="camel"):
    """An artifact as sent over realtime: without its data encryption key."""

    id: ArtifactId
    header: bytes
    header_version: int
    body: bytes
    body_version: int
    seq: int
    created_at: Millis
    updated_at: Millis


class ArtifactEvents:
    def __init__(self, artifacts: ArtifactService, answers: LargeAnswers) -> None:
        self._artifacts = artifacts
        self._answers = answers

    @property
    def handlers(self) -> Mapping[str, Handler]:
        return {
            "artifact-read": self.read,
            "artifact-create": self.create,
            "artifact-update": self.update,
            "artifact-delete": self.delete,
        }

    def read(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        request = parse(payload, ArtifactRead)
        if request is None or not request.artifact_id:
            _refuse(ack, INVALID)
            return None
        artifact = partial(self._artifacts.get, connection.account_id, ArtifactId(request.artifact_id))
        work = partial(self._answer, connection, ack, artifact, _shown)
        return self._answers.follow(connection, _key(request.artifact_id), work, partial(_fail, ack))

    def create(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        request = parse(payload, ArtifactCreate)
        if request is None or not request.id:
            _refuse(ack, INVALID)
            return None
        contents = NewArtifactContents(request.header, request.body, request.data_encryption_key)
        artifact = partial(
            self._artifacts.load_or_create, connection.account_id, ArtifactId(request.id), contents
        )
        work = partial(self._answer, connection, ack, artifact, _shown)
        size = len(request.header) + len(request.body)
        return self._answers.follow(connection, _key(request.id), work, partial(_fail, ack), size)

    def update(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        """Compare-and-set of the header, the body or both: all of it or nothing."""
        request = parse(payload, ArtifactUpdate)
        if request is None or not request.artifact_id:
            _refuse(ack, INVALID)
            return None
        if not scalar(request.header) and not scalar(request.body):
            _refuse(ack, "No updates provided")
            return None
        parts: dict[str, Part] = {}
        for name, given in (("header", request.header), ("body", request.body)):
            part = _part(given)
            if part is None and scalar(given):
                _refuse(ack, f"Invalid {name} parameters")
                return None
            if part is not None:
                parts[name] = part
        artifact_id = ArtifactId(request.artifact_id)
        edit = partial(
            self._artifacts.edit, connection.account_id, artifact_id, parts.get("header"), parts.get("body")
        )
        work = partial(self._answer, connection, ack, edit, partial(_written, parts))
        size = sum(len(part.value) for part in parts.values())
        return self._answers.follow(connection, _key(artifact_id), work, partial(_fail, ack), size)

    def delete(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        request = parse(payload, ArtifactRead)
        if request is None or not request.artifact_id:
            _refuse(ack, INVALID)
            return None
        deletion = partial(self._artifacts.delete, connection.account_id, ArtifactId(request.artifact_id))
        work = self._answer(connection, ack, deletion, lambda _: (0, {}))
        return connection.in_flight.follow(_key(request.artifact_id), work)

    async def _answer(
        self,
        connection: Connection,
        ack: Ack | None,
        outcome: Callable[[], Awaitable[T]],
        shown: Callable[[T], Shown],
    ) -> None:
        try:
            value = await outcome()
        except (NotFound, Conflict) as refused:
            return _refuse(ack, str(refused))
        except Invalid:
            return _fail(ack)
        except BaseException:
            _fail(ack)
            raise
        size, fields = shown(value)
        return await self._answers.answer(connection, ack, size, {"result": "success", **fields})


def _key(artifact_id: str) -> Key:
    """Events of one connection with the same key are processed in order."""
    return ("artifact", artifact_id)


def _refuse(ack: Ack | None, message: str) -> None:
    answer(ack, result="error", message=message)


def _fail(ack: Ack | None) -> None:
    _refuse(ack, "Internal error")


def _shown(artifact: Artifact) -> Shown:
    return _size(artifact), {"artifact": msgspec.convert(artifact, RtArtifact, from_attributes=True)}


def _size(artifact: Artifact) -> int:
    return len(artifact.header) + len(artifact.body)


def _part(given: msgspec.Raw) -> Part | None:
    try:
        part = _decode_part(given)
    except msgspec.DecodeError:
        return None
    return Versioned(part.data, version(part.expected_version))


def _written(parts: Mapping[str, Part], outcome: ArtifactSwap) -> Shown:
    """What the client sees of an edit: its new versions, or the stored parts whose version differs."""
    artifact = outcome.current
    size = _size(artifact)
    if outcome.won:
        return size, {name: {"version": part.version + 1, "data": part.value} for name, part in parts.items()}
    stored = {
        "header": Versioned(artifact.header, artifact.header_version),
        "body": Versioned(artifact.body, artifact.body_version),
    }
    mismatches = {
        name: {"currentVersion": stored[name].version, "currentData": stored[name].value}
        for name, part in parts.items()
        if part.version != stored[name].version
    }
    return size, {"result": "version-mismatch", **mismatches}
