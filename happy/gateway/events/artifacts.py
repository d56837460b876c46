"""Events about artifacts (protocol: realtime#artifacts)."""

from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from happy.domain.artifacts import Artifact, ArtifactSwap
from happy.domain.errors import Conflict, Invalid, NotFound
from happy.domain.json_text import scalar
from happy.domain.values import ArtifactId, Millis, Versioned
from happy.gateway.engine import Ack
from happy.gateway.events.acks import answer
from happy.gateway.events.payloads import (
    ArtifactCreate,
    ArtifactPart,
    ArtifactRead,
    ArtifactUpdate,
    parse,
    version,
)
from happy.gateway.hub import Connection, Handler
from happy.services.artifacts import ArtifactService, NewArtifactContents, Part

Payload = msgspec.Raw | None
T = TypeVar("T")
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
    def __init__(self, artifacts: ArtifactService) -> None:
        self._artifacts = artifacts

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
        artifact = self._artifacts.get(connection.account_id, ArtifactId(request.artifact_id))
        return _follow(connection, request.artifact_id, _answer(ack, artifact, _shown))

    def create(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        request = parse(payload, ArtifactCreate)
        if request is None or not request.id:
            _refuse(ack, INVALID)
            return None
        contents = NewArtifactContents(request.header, request.body, request.data_encryption_key)
        artifact = self._artifacts.load_or_create(connection.account_id, ArtifactId(request.id), contents)
        return _follow(
            connection, request.id, _answer(ack, artifact, _shown), len(request.header) + len(request.body)
        )

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
        outcome = self._artifacts.edit(
            connection.account_id, ArtifactId(request.artifact_id), parts.get("header"), parts.get("body")
        )
        work = _answer(ack, outcome, lambda outcome: _written(outcome, parts))
        size = sum(len(part.value) for part in parts.values())
        return _follow(connection, request.artifact_id, work, size)

    def delete(self, connection: Connection, payload: Payload, ack: Ack | None) -> Awaitable[None] | None:
        request = parse(payload, ArtifactRead)
        if request is None or not request.artifact_id:
            _refuse(ack, INVALID)
            return None
        deletion = self._artifacts.delete(connection.account_id, ArtifactId(request.artifact_id))
        work = _answer(ack, deletion, lambda _: {"result": "success"})
        return _follow(connection, request.artifact_id, work)


def _follow(
    connection: Connection, artifact_id: str, work: Coroutine[Any, Any, None], size: int = 0
) -> Awaitable[None] | None:
    """Run `work` after the earlier events of this connection about the same artifact."""
    return connection.in_flight.follow(("artifact", artifact_id), work, size)


async def _answer(
    ack: Ack | None, outcome: Awaitable[T], success: Callable[[T], Mapping[str, object]]
) -> None:
    try:
        value = await outcome
    except (NotFound, Conflict) as refused:
        return _refuse(ack, str(refused))
    except Invalid:
        return _refuse(ack, "Internal error")
    except BaseException:
        _refuse(ack, "Internal error")
        raise
    return answer(ack, **success(value))


def _refuse(ack: Ack | None, message: str) -> None:
    answer(ack, result="error", message=message)


def _shown(artifact: Artifact) -> dict[str, object]:
    return {"result": "success", "artifact": msgspec.convert(artifact, RtArtifact, from_attributes=True)}


def _part(given: msgspec.Raw) -> Part | None:
    try:
        part = _decode_part(given)
    except msgspec.DecodeError:
        return None
    return Versioned(part.data, version(part.expected_version))


def _written(outcome: ArtifactSwap, parts: Mapping[str, Part]) -> dict[str, object]:
    """What the client sees of an edit: its new versions, or the stored parts whose version differs."""
    if outcome.won:
        written = {name: {"version": part.version + 1, "data": part.value} for name, part in parts.items()}
        return {"result": "success", **written}
    artifact = outcome.current
    stored = {
        "header": Versioned(artifact.header, artifact.header_version),
        "body": Versioned(artifact.body, artifact.body_version),
    }
    mismatches = {
        name: {"currentVersion": stored[name].version, "currentData": stored[name].value}
        for name, part in parts.items()
        if part.version != stored[name].version
    }
    return {"result": "version-mismatch", **mismatches}
