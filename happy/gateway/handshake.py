"""Reads what a client sends in its CONNECT packet (protocol: realtime#handshake)."""

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from happy.domain.events import Scope
from happy.domain.json_text import scalar
from happy.domain.names import MAX_NAME
from happy.domain.revocations import Refused
from happy.gateway.recovery import replay
from happy.gateway.recovery.cursors import seq_of, split_cursor
from happy.limits import limit

MISSING_TOKEN = "Missing authentication token"  # noqa: S105 - a message, not a token
MISSING_SESSION = "Session ID required for session-scoped clients"
MISSING_MACHINE = "Machine ID required for machine-scoped clients"
INVALID_TOKEN = "Invalid authentication token"  # noqa: S105 - a message, not a token
MAX_TOKEN = limit(
    1_000, "characters of a recovery token or an offset", per="handshake", then="not recovered: reads again"
)
MAX_CLIENT = limit(
    100, "characters of `happyClient` that are kept", per="handshake", then="the rest is cut off"
)


FIELDS = (
    "token",
    "clientType",
    "sessionId",
    "machineId",
    "pid",
    "offset",
    "appState",
    "happyClient",
)

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class Handshake(Struct, frozen=True):
    """A client's handshake. Only clients with `explicit_user` ("user-scoped") suppress push notifications.

    A reconnecting client sends its recovery token and the offset of its last event: `pid` and `offset`
    without the cursor at their end, else empty; `token_with_cursor` is the token with it. The cursor says up
    to which message of its session the client was sent: `read_up_to`, and `given_up_to` if that came from
    the store alone.
    """

    token: str
    scope: Scope
    target: str
    explicit_user: bool
    foreground: bool
    client: str
    recovery_token: str = ""
    offset: str = ""
    token_with_cursor: str = ""
    read_up_to: int | None = None
    given_up_to: int | None = None

    @property
    def reads_messages(self) -> bool:
        """Whether the client reads messages over HTTP whenever it connects, so that none are replayed."""
        return replay.reads_messages(self.client)

    @property
    def needs_messages(self) -> bool:
        """Whether the client is session-scoped and never reads messages over HTTP, so that all are sent."""
        return self.scope == "session" and not self.reads_messages

    def was_given(self, packet: bytes) -> bool:
        """Whether this replayed message was sent from the store before."""
        if self.given_up_to is None or not self.needs_messages:
            return False
        return replay.is_message(packet) and seq_of(packet) <= self.given_up_to


class Refusal(Exception):
    """The handshake is invalid; the message is sent to the client. `token`: what is wrong with its token."""

    def __init__(self, message: str, token: Refused | None = None) -> None:
        super().__init__(message)
        self.token = token


def read(auth: msgspec.Raw | None, headers: Mapping[str, str]) -> Handshake:
    """Raises Refusal, for the first check that fails in the order of the protocol."""
    fields = _fields(auth)
    token, kind = fields.get("token"), fields.get("clientType")
    if _is_falsy(token):
        raise Refusal(MISSING_TOKEN, Refused.MISSING)
    scope, target = _scope(kind, fields)
    token_with_cursor, sent = _text(fields.get("pid")), _text(fields.get("offset"))
    recovery_token, at_first = split_cursor(token_with_cursor)
    offset, at_last = split_cursor(sent)
    if not isinstance(token, str):
        raise Refusal(INVALID_TOKEN, Refused.INVALID)
    return Handshake(
        token=token,
        scope=scope,
        target=target,
        explicit_user=kind == "user-scoped",
        foreground=fields.get("appState") == "active",
        client=_client(fields.get("happyClient"), headers),
        recovery_token=recovery_token,
        offset=offset,
        token_with_cursor=token_with_cursor,
        read_up_to=at_first if at_last is None else at_last,
        given_up_to=None if offset else at_last,
    )


def _fields(auth: msgspec.Raw | None) -> dict[str, Any]:
    """Those that are read; of an object or array only that it is one."""
    try:
        sent = _decode(auth) if auth else {}
        return {name: scalar(sent[name]) for name in FIELDS if name in sent}
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _scope(kind: object, fields: dict[str, Any]) -> tuple[Scope, str]:
    """The effective scope and target; an unknown client type is user-scoped."""
    if kind == "session-scoped":
        return "session", _target(fields.get("sessionId"), MISSING_SESSION)
    if kind == "machine-scoped":
        return "machine", _target(fields.get("machineId"), MISSING_MACHINE)
    return "user", ""


def _target(value: object, refusal: str) -> str:
    """The id of a session or machine. It is kept with the connection, and while that is lost."""
    if _is_falsy(value) or isinstance(value, dict | list) or len(str(value)) > MAX_NAME:
        raise Refusal(refusal)
    return str(value).replace("\0", "\ufffd")  # PostgreSQL rejects NUL in text


def _text(value: object) -> str:
    """A recovery token or an offset; a longer one is none of ours."""
    return value if isinstance(value, str) and len(value) <= MAX_TOKEN else ""


def _is_falsy(value: object) -> bool:
    """As in JavaScript: an empty object or list is not falsy."""
    return not value and not isinstance(value, dict | list)


def _client(declared: object, headers: Mapping[str, str]) -> str:
    named = declared if isinstance(declared, str) and declared else headers.get("x-happy-client")
    return named[:MAX_CLIENT] if named else "unknown"
