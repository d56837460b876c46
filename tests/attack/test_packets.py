"""Floods of Engine.IO and Socket.IO packets, and handshakes that are never finished."""

import time
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from tests.attack.attacker import BINARY, TEXT, Attack, Target, frame, read_until, request
from tests.attack.bystander import beside
from tests.support.server_process import Server

if TYPE_CHECKING:
    import socket

MANY = 20_000
POLL = "/v1/updates/?EIO=4&transport=polling"
JUNK = (f"User-Agent: {'x' * 30_000}", f"X-Forwarded-For: {'1.2.3.4,' * 3_000}")
ATTACHMENT = b"x" * 100_000


def _flood(target: Target, packets: bytes, *, signed_in: bool = False) -> None:
    with target.signed_in() if signed_in else target.websocket() as socket:
        while target.goes_on():
            socket.sendall(packets)


def pongs(target: Target) -> None:
    _flood(target, frame(b"3") * MANY, signed_in=True)


def empty_packets(target: Target) -> None:
    _flood(target, frame(b"") * MANY)


def acks_that_nobody_waits_for(target: Target) -> None:
    _flood(target, frame(b"431[]") * MANY, signed_in=True)


def connects_to_unknown_namespaces(target: Target) -> None:
    _flood(target, frame(b"40/x,") * MANY)


def joins_and_leaves(target: Target) -> None:
    connect = frame(f'40{{"token":"{target.token}"}}'.encode())
    _flood(target, (connect + frame(b"41")) * 1000)


def attachments_in_many_places(target: Target) -> None:
    """100 KB that would become 900 MB."""
    placeholders = b",".join([b'{"_placeholder":true,"num":0}'] * 6000)
    packet = frame(b'451-["message",' + placeholders + b"]") + frame(ATTACHMENT, BINARY)
    _flood(target, packet, signed_in=True)


def payloads_of_many_packets(target: Target) -> None:
    with target.connection() as connection:
        connection.sendall(request("GET", POLL))
        sid = read_until(connection, b'"upgrades"').partition(b'"sid":"')[2].partition(b'"')[0].decode()
        # Before it is let in, a client may not send as much.
        bodies = [f'40{{"token":"{target.token}"}}'.encode(), b"\x1e".join([b"6"] * 16_000)]
        while target.goes_on():
            body = bodies.pop(0) if len(bodies) > 1 else bodies[0]
            connection.sendall(
                request("POST", f"{POLL}&sid={sid}", f"Content-Length: {len(body)}", body=body)
            )
            if b" 200 " not in read_until(connection, b"\r\n\r\n"):
                return


def halves_of_payloads(target: Target) -> None:
    """Of 40 signed-in clients that poll: 14 MB of 15 MB each."""
    connect = f'40{{"token":"{target.token}"}}'.encode()
    with ExitStack() as stack:
        for _ in range(40):
            held = stack.enter_context(target.connection())
            held.sendall(request("GET", POLL))
            sid = read_until(held, b'"upgrades"').partition(b'"sid":"')[2].partition(b'"')[0].decode()
            path = f"{POLL}&sid={sid}"
            held.sendall(request("POST", path, f"Content-Length: {len(connect)}", body=connect))
            read_until(held, b"ok")
            held.sendall(request("GET", path))
            read_until(held, b"40{")
            held.settimeout(1)
            with suppress(OSError):
                held.sendall(request("POST", path, "Content-Length: 15000000", body=b"4" * 14_000_000))
        while target.goes_on():
            time.sleep(0.1)


def lost_handshakes(target: Target) -> None:
    with target.connection() as connection:
        while target.goes_on():
            connection.sendall(request("GET", POLL, *JUNK))
            read_until(connection, b"pingTimeout")


def sockets_that_never_connect(target: Target) -> None:
    """None is closed by the attacker before its end."""
    opened: list[tuple[AbstractContextManager[socket.socket], socket.socket]] = []
    while target.goes_on() and len(opened) < 500:
        context = target.websocket()
        opened.append((context, context.__enter__()))
    while target.goes_on():
        for _, held in opened:
            held.sendall(frame(b"40{", TEXT, fin=0))
            if not target.goes_on():
                return


CLOSED: dict[Attack, str] = {
    pongs: "control",
    connects_to_unknown_namespaces: "connect",
    joins_and_leaves: "connect",
    payloads_of_many_packets: "control",
}


@pytest.mark.parametrize(
    "attack",
    [
        pongs,
        empty_packets,
        acks_that_nobody_waits_for,
        connects_to_unknown_namespaces,
        joins_and_leaves,
        attachments_in_many_places,
        payloads_of_many_packets,
        halves_of_payloads,
        lost_handshakes,
        sockets_that_never_connect,
    ],
)
async def test_a_flood_of_packets_keeps_nobody_waiting(server: Server, attack: Attack) -> None:
    (await beside(server, attack)).check()

    if (
        kind := CLOSED.get(attack)
    ) is not None:  # time slices protect others, but not the server from its cost
        assert f"refused, {kind} packets" in server.log_text()
