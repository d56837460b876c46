"""Floods of what is no message: websocket control frames, tiny fragments, and what follows an error."""

import pytest

from tests.attack.attacker import BINARY, CONTINUATION, PING, PONG, TEXT, Attack, Target, frame
from tests.attack.bystander import beside
from tests.support.server_process import Server

MANY = 20_000
RESERVED = 0x3
"""An opcode that does not exist."""


def _flood(target: Target, frames: bytes, *, signed_in: bool = False) -> None:
    with target.signed_in() if signed_in else target.websocket() as socket:
        while target.goes_on():
            socket.sendall(frames)


def pings_before_sign_in(target: Target) -> None:
    _flood(target, frame(b"", PING) * MANY)


def pings_of_a_client(target: Target) -> None:
    _flood(target, frame(b"", PING) * MANY, signed_in=True)


def large_pings(target: Target) -> None:
    _flood(target, frame(b"x" * 125, PING) * MANY)


def pongs(target: Target) -> None:
    _flood(target, frame(b"", PONG) * MANY, signed_in=True)


def pings_within_a_message(target: Target) -> None:
    _flood(target, frame(b"4", TEXT, fin=0) + frame(b"", PING) * MANY)


def frames_behind_an_error(target: Target) -> None:
    _flood(target, frame(b"", RESERVED) + frame(b"", PING) * MANY)


def frames_behind_a_close(target: Target) -> None:
    _flood(target, frame(b"1", TEXT) + frame(b"x", TEXT) * MANY, signed_in=True)


def empty_fragments(target: Target) -> None:
    _flood(target, frame(b"", TEXT, fin=0) + frame(b"", CONTINUATION, fin=0) * MANY, signed_in=True)


def tiny_fragments(target: Target) -> None:
    _flood(target, frame(b"4", TEXT, fin=0) + frame(b"x", CONTINUATION, fin=0) * MANY, signed_in=True)


def tiny_binary_messages(target: Target) -> None:
    _flood(target, frame(b"", BINARY) * MANY)


CLOSED = [pings_before_sign_in, pings_of_a_client, large_pings, pongs, pings_within_a_message]


@pytest.mark.parametrize(
    "attack",
    [
        pings_before_sign_in,
        pings_of_a_client,
        large_pings,
        pongs,
        pings_within_a_message,
        frames_behind_an_error,
        frames_behind_a_close,
        empty_fragments,
        tiny_fragments,
        tiny_binary_messages,
    ],
)
async def test_a_flood_of_frames_keeps_nobody_waiting(server: Server, attack: Attack) -> None:
    (await beside(server, attack)).check()

    if attack in CLOSED:  # time slices protect others from a flood, but not the server from its cost
        assert "refused, control frames" in server.log_text()
