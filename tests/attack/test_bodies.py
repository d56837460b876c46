"""Text that is expensive to read, and bodies that are large: in requests, handshakes, tokens and events."""

import base64
import contextlib
import time
from typing import TYPE_CHECKING

import pytest

from tests.attack.attacker import Attack, Target, connect, frame, read_until, request
from tests.attack.bystander import LONG, beside, resident_mb
from tests.support.server_process import Server
from tests.support.until import until

if TYPE_CHECKING:
    import socket

MB = 1_000_000
JSON = "Content-Type: application/json"
WEBHOOK = "/v1/connect/github/webhook"
GITHUB = ("X-Hub-Signature-256: sha256=00", "X-GitHub-Event: push")
BACKSLASHES = b'{"content":"' + b"\\\\" * 12 * MB + b'"}'
AFTERWARDS_MB = 100
"""What an idle server has is some 75 MB. Unless large blocks are given back, it keeps 130 to 180."""

NUMBERS = b"1e300," * 10_000 + b"1"
"""60 KB, of which each number takes the parser 50 us."""


def _post(target: Target, path: str, body: bytes, *headers: str) -> None:
    """Until the server has answered or closes the connection, whatever it read."""
    token = f"Authorization: Bearer {target.token}"
    with target.connection() as connection:
        while target.goes_on():
            connection.sendall(request("POST", path, token, JSON, f"Content-Length: {len(body)}", *headers))
            with contextlib.suppress(OSError):
                connection.sendall(body)
            read_until(connection, b"\r\n\r\n")


def backslashes_to_what_is_not_configured(target: Target) -> None:
    _post(target, WEBHOOK, BACKSLASHES, *GITHUB)


def backslashes_to_nowhere(target: Target) -> None:
    _post(target, "/nowhere", BACKSLASHES)


def backslashes_of_an_account(target: Target) -> None:
    _post(target, "/v1/sessions", BACKSLASHES[: 4 * MB] + b'"}')


def escapes_in_messages(target: Target) -> None:
    _post(target, "/v3/sessions/s/messages", b'{"messages":[{"content":"' + b"\\n" * 7 * MB + b'"}]}')


def wide_messages(target: Target) -> None:
    _post(target, "/v3/sessions/s/messages", b'{"messages":[' + b"{}," * 5 * MB + b"{}]}")


def numbers_in_entries(target: Target) -> None:
    entries = b",".join([b'{"key":"k","value":null,"version":1e300}'] * 6_000)
    _post(target, "/v1/kv", b'{"mutations":[' + entries + b"]}")


def numbers_in_a_push_event(target: Target) -> None:
    body = b'{"kind":"done","title":"t","body":"b","data":{"x":[' + NUMBERS + b"]}}"
    _post(target, "/v1/sessions/s/push-event", body)


def numbers_in_a_token(target: Target) -> None:
    header = base64.urlsafe_b64encode(b'{"alg":"EdDSA","x":[' + NUMBERS[: 6 * 7_000] + b"1]}").decode()
    with target.connection() as connection:
        while target.goes_on():
            connection.sendall(request("GET", "/v1/sessions", f"Authorization: Bearer {header}.e30.AAAA"))
            read_until(connection, b"\r\n\r\n")


def numbers_in_a_handshake(target: Target) -> None:
    with target.websocket('40{"token":"t","x":[' + NUMBERS.decode() + "]}") as socket:
        read_until(socket, b"44")


def numbers_in_usage_reports(target: Target) -> None:
    report = (
        '42["usage-report",{"key":"k","tokens":{"total":1,"x":['
        + NUMBERS.decode()
        + ']},"cost":{"total":1}}]'
    )
    with target.signed_in() as socket:
        while target.goes_on():
            socket.sendall(frame(report.encode()))


def names_in_usage_reports(target: Target) -> None:
    names = ",".join(f'"{number}":1' for number in range(500_000))
    report = '421["usage-report",{"key":"k","tokens":{"total":1,' + names + '},"cost":{"total":1}}]'
    with target.signed_in() as socket:
        while target.goes_on():
            socket.sendall(frame(report.encode()))
            read_until(socket, b"431")


def numbers_around_attachments(target: Target) -> None:
    packet = frame(b'451-["message",{"_placeholder":true,"num":0},' + NUMBERS + b"]") + frame(b"x", 0x2)
    with target.signed_in() as socket:
        while target.goes_on():
            socket.sendall(packet)


def surrogates_in_events(target: Target) -> None:
    with target.signed_in() as socket:
        while target.goes_on():
            socket.sendall(frame(b'42["message","' + b"\\ud800" * 40_000 + b'"]'))


def wide_events(target: Target) -> None:
    with target.signed_in() as socket:
        socket.sendall(frame(b'42["message",[' + b"1," * 7 * MB + b"1]]"))
        read_until(socket, b"never")


def large_messages(target: Target) -> None:
    """As fast as they are taken, of a session that is there."""
    with target.connection() as connection:
        token = f"Authorization: Bearer {target.token}"
        created = b'{"tag":"t","metadata":"m"}'
        connection.sendall(
            request("POST", "/v1/sessions", token, JSON, f"Content-Length: {len(created)}", body=created)
        )
        sid = read_until(connection, b'"seq"').partition(b'"id":"')[2].partition(b'"')[0].decode()
        number = 0
        while target.goes_on():
            number += 1
            body = b'{"messages":[{"content":"%b","localId":"%d-%f"}]}' % (
                b"YWJj" * 3_900_000,
                number,
                time.time(),
            )
            path = f"/v3/sessions/{sid}/messages"
            connection.sendall(request("POST", path, token, JSON, f"Content-Length: {len(body)}") + body)
            read_until(connection, b"\r\n\r\n")


def bodies_without_an_end(target: Target) -> None:
    """Of 30 large ones all but the last byte."""
    body = b'{"messages":[{"content":"' + b"x" * 15 * MB
    token = f"Authorization: Bearer {target.token}"
    head = request("POST", "/v3/sessions/s/messages", token, JSON, f"Content-Length: {len(body) + 1}")
    with contextlib.ExitStack() as stack:
        opened: list[socket.socket] = []
        for _ in range(30):
            connection = stack.enter_context(connect(target.port))
            connection.settimeout(0.2)
            opened.append(connection)
            with contextlib.suppress(OSError):
                connection.sendall(head + body)
        while target.goes_on():
            time.sleep(0.1)


REFUSED = (backslashes_of_an_account, escapes_in_messages, wide_messages)
"""Before they are parsed."""


@pytest.mark.parametrize(
    "attack",
    [
        backslashes_to_what_is_not_configured,
        backslashes_to_nowhere,
        backslashes_of_an_account,
        escapes_in_messages,
        wide_messages,
        numbers_in_entries,
        numbers_in_a_push_event,
        numbers_in_a_token,
        numbers_in_a_handshake,
        numbers_in_usage_reports,
        names_in_usage_reports,
        numbers_around_attachments,
        surrogates_in_events,
        wide_events,
    ],
    ids=lambda attack: attack.__name__,
)
async def test_expensive_text_keeps_nobody_waiting(server: Server, attack: Attack) -> None:
    felt = await beside(server, attack)

    felt.check()
    if attack in REFUSED:  # turns protect others, but not the server from its cost
        assert "refused a request that is too large" in server.log_text()


@pytest.mark.parametrize(
    "attacks", [(large_messages,) * 2, (bodies_without_an_end,) * 2], ids=lambda them: them[0].__name__
)
async def test_the_memory_of_large_bodies_is_bounded(server: Server, attacks: tuple[Attack, ...]) -> None:
    felt = await beside(server, *attacks)

    # Each large message keeps the event loop for some steps of its way; drivers hold several copies of one.
    felt.check(p99=0.5 if LONG else 5.0)
    if large_messages in attacks:
        await until(lambda: resident_mb(server) < AFTERWARDS_MB)
