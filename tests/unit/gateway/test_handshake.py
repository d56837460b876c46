"""What the auth object of a CONNECT packet means (protocol: realtime#handshake)."""

from typing import Any

import msgspec
import pytest

from happy.gateway import handshake
from happy.gateway.handshake import Handshake, Refusal

NO_TOKEN = "Missing authentication token"
NO_SESSION = "Session ID required for session-scoped clients"
NO_MACHINE = "Machine ID required for machine-scoped clients"
BAD_TOKEN = "Invalid authentication token"
SESSION, MACHINE, USER = (
    {"clientType": kind} for kind in ("session-scoped", "machine-scoped", "user-scoped")
)

UNKNOWN_KINDS: list[Any] = [None, "", "admin", 5, {}, ["user-scoped"]]


def read(auth: Any, **headers: str) -> Handshake:
    raw = None if auth is None else msgspec.Raw(msgspec.json.encode(auth))
    return handshake.read(raw, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("auth", "refusal"),
    [
        (None, NO_TOKEN),
        ({}, NO_TOKEN),
        ([], NO_TOKEN),
        ("token", NO_TOKEN),
        *(({"token": falsy}, NO_TOKEN) for falsy in (None, "", 0, False)),
        (SESSION, NO_TOKEN),
        *(({"token": "t", **SESSION, "sessionId": falsy}, NO_SESSION) for falsy in (None, "", 0, False)),
        ({"token": "t", **SESSION}, NO_SESSION),
        ({"token": "t", **SESSION, "machineId": "m"}, NO_SESSION),
        ({"token": 5, **SESSION}, NO_SESSION),
        ({"token": "t", **MACHINE}, NO_MACHINE),
        ({"token": {}, **MACHINE, "sessionId": "s"}, NO_MACHINE),
        *(({"token": odd}, BAD_TOKEN) for odd in (5, True, {}, [], {"a": "b"}, ["t"])),
        ({"token": 5, **MACHINE, "machineId": "m"}, BAD_TOKEN),
    ],
)
def test_a_handshake_is_refused(auth: Any, refusal: str) -> None:
    with pytest.raises(Refusal, match=refusal):
        read(auth)


@pytest.mark.parametrize(
    ("fields", "scope", "target"),
    [
        (USER, "user", ""),
        ({**SESSION, "sessionId": "s"}, "session", "s"),
        ({**MACHINE, "machineId": "m"}, "machine", "m"),
        ({**SESSION, "sessionId": 5}, "session", "5"),
        ({**MACHINE, "machineId": "a\0b"}, "machine", "a\ufffdb"),
        *(({"clientType": kind}, "user", "") for kind in UNKNOWN_KINDS),
        ({}, "user", ""),
        ({"sessionId": "s", "machineId": "m"}, "user", ""),
    ],
)
def test_a_scope_follows_from_the_client_type(fields: Any, scope: str, target: str) -> None:
    asked = read({"token": "t", **fields})

    assert ("t", scope, target) == (asked.token, asked.scope, asked.target)


@pytest.mark.parametrize(
    ("fields", "explicit", "foreground"),
    [
        ({**USER, "appState": "active"}, True, True),
        ({**USER, "appState": "background"}, True, False),
        ({**USER, "appState": 5}, True, False),
        (USER, True, False),
        ({"appState": "active"}, False, True),
        ({**SESSION, "sessionId": "s", "appState": "active"}, False, True),
    ],
)
def test_only_explicit_users_can_look_at_the_app(fields: Any, explicit: bool, foreground: bool) -> None:
    asked = read({"token": "t", **fields})

    assert (explicit, foreground) == (asked.explicit_user, asked.foreground)


@pytest.mark.parametrize(
    ("declared", "header", "client"),
    [
        ("cli/1", "web/1", "cli/1"),
        (None, "web/1", "web/1"),
        ("", "web/1", "web/1"),
        ("", "", "unknown"),
        # docs/defects.md A3: anything but text ended the process
        *((odd, "web/1", "web/1") for odd in (5, True, {}, ["cli"], {"a": 1})),
        ("x" * 101, "", "x" * 100),
    ],
)
def test_a_client_has_a_label(declared: Any, header: str, client: str) -> None:
    assert client == read({"token": "t", "happyClient": declared}, x_happy_client=header).client


@pytest.mark.parametrize(
    ("declared", "header", "reads"),
    [
        ("cli-coding-session/1.2.5", "", True),
        (None, "cli-coding-session/1.2.5", True),
        ("cli-daemon/1.2.5", "cli-coding-session/1.2.5", False),
        ("cli-coding-sessions", "", False),
        (None, "", False),
    ],
)
def test_a_client_reads_messages_by_itself_if_its_name_says_so(
    declared: Any, header: str, reads: bool
) -> None:
    asked = read({"token": "t", "happyClient": declared}, x_happy_client=header)
    assert asked.reads_messages is reads


def test_a_client_without_a_name_is_unknown() -> None:
    assert "unknown" == read({"token": "t"}).client


@pytest.mark.parametrize("auth", [b"{", b"\xff", b'{"token":' + b"[" * 100_000, b'{"token":"\\ud800"}'])
def test_what_cannot_be_read_has_no_token(auth: bytes) -> None:
    with pytest.raises(Refusal, match=NO_TOKEN):
        handshake.read(msgspec.Raw(auth), {})
