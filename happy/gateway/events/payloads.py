"""Payloads of the events that clients send (protocol: realtime#events-from-clients)."""

from functools import cache
from typing import TypeVar

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import astuple

from happy.domain.names import Name
from happy.domain.values import Millis
from happy.limits import limit

P = TypeVar("P", bound=Struct)
Number = int | float
Anything = str | int | float | bool | dict[str, Raw] | list[Raw] | None
"""Any type, as JavaScript clients may have it; what is in objects and arrays is not parsed."""

MAX_VERSION = 2**31 - 1
NEVER = -1
"""A version that is never stored: a compare-and-set with it always fails."""


MAX_MESSAGE = limit(
    16_000_000, "bytes of a message, or of an RPC call", per="event", then="`Invalid parameters`"
)
MAX_DOCUMENT = limit(
    4 * 1024 * 1024,
    "bytes of an event with metadata, a state or an artifact",
    per="event",
    then="as other invalid parameters",
)
"""Other servers drop events of more than 1 MB, so clients keep what they store below that."""

MAX_SMALL = limit(65_536, "bytes of any other event", per="event", then="as other invalid parameters")


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
    message: Raw
    local_id: Anything = None


class SessionAlive(Struct, frozen=True):
    sid: Name
    time: Number
    thinking: Anything = False


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
    header: Raw = Raw()
    body: Raw = Raw()


class AccessKeyGet(Struct, frozen=True, rename="camel"):
    session_id: Name
    machine_id: Name


class ReportUsage(Struct, frozen=True, rename="camel"):
    key: Raw = Raw()
    tokens: Raw = Raw()
    cost: Raw = Raw()
    session_id: Raw = Raw()


class AppState(Struct, frozen=True):
    state: Raw = Raw()


class Method(Struct, frozen=True):
    method: str


class Call(Struct, frozen=True):
    method: str
    params: Raw = Raw()


PAYLOAD_LIMITS: dict[type[Struct], int] = {
    SendMessage: MAX_MESSAGE,
    Call: MAX_MESSAGE,
    UpdateMetadata: MAX_DOCUMENT,
    UpdateState: MAX_DOCUMENT,
    MachineUpdateMetadata: MAX_DOCUMENT,
    MachineUpdateState: MAX_DOCUMENT,
    ArtifactCreate: MAX_DOCUMENT,
    ArtifactUpdate: MAX_DOCUMENT,
}
"""In bytes, by what clients send; MAX_SMALL for all others."""


def parse(payload: Raw | None, kind: type[P]) -> P | None:
    """Decode and validate a payload; None if it is not a valid `kind`, or too large for one."""
    if payload is None or len(payload) > PAYLOAD_LIMITS.get(kind, MAX_SMALL):
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
