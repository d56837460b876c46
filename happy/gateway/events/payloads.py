"""Payloads of the events that clients send (protocol: realtime#events-from-clients)."""

from functools import cache
from typing import Any, TypeVar

import msgspec
from msgspec import Struct
from msgspec.structs import astuple

from happy.domain.names import Name
from happy.domain.values import Millis

P = TypeVar("P", bound=Struct)
Number = int | float

MAX_VERSION = 2**31 - 1
NEVER = -1
"""A version that is never stored: a compare-and-set with it always fails."""


class UpdateMetadata(Struct, frozen=True, rename="camel"):
    sid: Name
    metadata: str
    expected_version: Number


class UpdateState(Struct, frozen=True, rename="camel"):
    sid: Name
    agent_state: str | None
    expected_version: Number


class SendMessage(Struct, frozen=True, rename="camel"):
    sid: Name
    message: str
    local_id: Any = None


class SessionAlive(Struct, frozen=True):
    sid: Name
    time: Number
    thinking: Any = False


class SessionEnd(Struct, frozen=True):
    sid: Name
    time: Number


class MachineAlive(Struct, frozen=True, rename="camel"):
    machine_id: Name
    time: Number


class MachineUpdateMetadata(Struct, frozen=True, rename="camel"):
    machine_id: Name
    metadata: str
    expected_version: Number


class MachineUpdateState(Struct, frozen=True, rename="camel"):
    machine_id: Name
    daemon_state: str
    expected_version: Number


class ArtifactRead(Struct, frozen=True, rename="camel"):
    artifact_id: Name


class ArtifactCreate(Struct, frozen=True, rename="camel"):
    id: Name
    header: str
    body: str
    data_encryption_key: str


class ArtifactPart(Struct, frozen=True, rename="camel"):
    data: str
    expected_version: Number


class ArtifactUpdate(Struct, frozen=True, rename="camel"):
    artifact_id: Name
    header: Any = None
    body: Any = None


class AccessKeyGet(Struct, frozen=True, rename="camel"):
    session_id: Name
    machine_id: Name


class ReportUsage(Struct, frozen=True, rename="camel"):
    key: Any = None
    tokens: Any = None
    cost: Any = None
    session_id: Any = None


class AppState(Struct, frozen=True):
    state: Any = None


class Method(Struct, frozen=True):
    method: str


class Call(Struct, frozen=True):
    method: str
    params: msgspec.Raw = msgspec.Raw()


def parse(payload: msgspec.Raw | None, kind: type[P]) -> P | None:
    """Decode and validate a payload; None if it is not a valid `kind`."""
    if payload is None:
        return None
    try:
        parsed: P = _decoder(kind).decode(payload)
    except (msgspec.DecodeError, RecursionError):
        return None
    for value in astuple(parsed):
        # PostgreSQL cannot store U+0000 in text, so both flavors refuse it.
        if isinstance(value, str) and "\0" in value:
            return None
    return parsed


@cache
def _decoder(kind: type[P]) -> msgspec.json.Decoder[P]:
    """Cached: building a decoder costs as much as decoding a small payload."""
    return msgspec.json.Decoder(kind)


def version(expected: Number) -> int:
    """The expected version as an integer; `NEVER` for one that cannot be stored."""
    return int(expected) if expected == int(expected) and 0 <= expected <= MAX_VERSION else NEVER


def millis(time: Number) -> Millis:
    return Millis(int(time))
