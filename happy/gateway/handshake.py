"""What a client says of itself when it connects (protocol: realtime#handshake)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from happy.domain.events import Scope
from happy.gateway.recovery import replay
from happy.gateway.recovery.cursors import seq_of, split_cursor

MISSING_TOKEN = "Missing authentication token"  # noqa: S105 - a message, not a token
MISSING_SESSION = "Session ID required for session-scoped clients"
MISSING_MACHINE = "Machine ID required for machine-scoped clients"
INVALID_TOKEN = "Invalid authentication token"  # noqa: S105 - a message, not a token
MAX_CLIENT = 100


class Handshake(Struct, frozen=True):
    """`explicit_user` is whether the client called itself user-scoped: only such clients suppress pushes.

    `pid` and `offset` are what a client sends that was here before, or empty; as it sent the former, it is
    `private_id`. `read_up_to` is the last message of its session that it was sent, if they say so, and
    `given_up_to` the same if it was read from the store, so that the offset says nothing else.
    """

    token: str
    scope: Scope
    target: str
    explicit_user: bool
    foreground: bool
    client: str
    pid: str = ""
    offset: str = ""
    private_id: str = ""
    read_up_to: int | None = None
    given_up_to: int | None = None

    @property
    def reads_messages(self) -> bool:
        """Whether the client reads messages by itself when it connects, and is to be replayed none."""
        return replay.reads_messages(self.client)

    @property
    def needs_messages(self) -> bool:
        """Whether the client is a session's and never reads messages: it lives on those that it is sent."""
        return self.scope == "session" and not self.reads_messages

    def was_given(self, packet: bytes) -> bool:
        """Whether the client was sent this message from the store, before the event came that is replayed."""
        if self.given_up_to is None or not self.needs_messages:
            return False
        return replay.is_message(packet) and seq_of(packet) <= self.given_up_to


class Refusal(Exception):
    """The handshake is not acceptable; the message goes to the client."""


def read(auth: msgspec.Raw | None, headers: Mapping[str, str]) -> Handshake:
    """Raises Refusal, in the contract's order of checks."""
    fields = _fields(auth)
    token, kind = fields.get("token"), fields.get("clientType")
    if _is_falsy(token):
        raise Refusal(MISSING_TOKEN)
    scope, target = _scope(kind, fields)
    private_id, sent = _text(fields.get("pid")), _text(fields.get("offset"))
    pid, at_first = split_cursor(private_id)
    offset, at_last = split_cursor(sent)
    if not isinstance(token, str):
        raise Refusal(INVALID_TOKEN)
    return Handshake(
        token=token,
        scope=scope,
        target=target,
        explicit_user=kind == "user-scoped",
        foreground=fields.get("appState") == "active",
        client=_client(fields.get("happyClient"), headers),
        pid=pid,
        offset=offset,
        private_id=private_id,
        read_up_to=at_last if sent else at_first,
        given_up_to=None if offset else at_last,
    )


def _fields(auth: msgspec.Raw | None) -> dict[str, Any]:
    try:
        fields = msgspec.json.decode(auth) if auth else None
    except (msgspec.DecodeError, RecursionError):
        fields = None
    return fields if isinstance(fields, dict) else {}


def _scope(kind: object, fields: dict[str, Any]) -> tuple[Scope, str]:
    """The effective scope; whoever names no known type hears what a user hears."""
    if kind == "session-scoped":
        return "session", _target(fields.get("sessionId"), MISSING_SESSION)
    if kind == "machine-scoped":
        return "machine", _target(fields.get("machineId"), MISSING_MACHINE)
    return "user", ""


def _target(value: object, refusal: str) -> str:
    if _is_falsy(value):
        raise Refusal(refusal)
    return str(value).replace("\0", "\ufffd")  # no database could even look for the former


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _is_falsy(value: object) -> bool:
    """As clients and the contract understand it: an empty object or list is something."""
    return not value and not isinstance(value, dict | list)


def _client(declared: object, headers: Mapping[str, str]) -> str:
    named = declared if isinstance(declared, str) and declared else headers.get("x-happy-client")
    return named[:MAX_CLIENT] if named else "unknown"
