"""When the open packet of a websocket leaves."""

import asyncio
from typing import Any, cast

import pytest

from happy.gateway.engine import open_packet
from happy.gateway.engine.open_packet import OpenPackets


class Client:
    """A connection as far as the open packet knows it."""

    def __init__(self) -> None:
        self.closed = False
        self.received_since_ping = False
        self.sent: list[bytes] = []
        self.arrived = asyncio.Event()

    def open_packet(self) -> bytes:
        return b"0{}"

    def send(self, packet: bytes) -> None:
        self.sent.append(packet)
        self.arrived.set()


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_packet, "RESEND_SECONDS", 0.02)
    monkeypatch.setattr(open_packet, "DELAY_SECONDS", 0.01)


def opened(packets: OpenPackets, address: str = "192.0.2.1") -> Client:
    client = Client()
    packets.send(cast("Any", client), address)
    return client


async def until_sent(client: Client, count: int) -> None:
    async with asyncio.timeout(5):
        while len(client.sent) < count:
            client.arrived.clear()
            await client.arrived.wait()


async def test_it_leaves_at_once_and_once_when_the_client_answers() -> None:
    packets = OpenPackets()
    answering, silent = opened(packets), opened(packets, "192.0.2.2")
    answering.received_since_ping = True

    assert 1 == len(answering.sent)
    await until_sent(silent, 2)  # whose timer began after the other's
    assert 1 == len(answering.sent)


async def test_an_address_that_lost_it_gets_it_a_moment_after_the_answer_and_once() -> None:
    packets = OpenPackets()
    await until_sent(opened(packets), 2)

    later, other = opened(packets), opened(packets, "192.0.2.2")

    assert ([], 1) == (later.sent, len(other.sent))
    await until_sent(later, 1)
    await until_sent(other, 2)
    assert 1 == len(later.sent)


async def test_a_connection_that_has_closed_is_left_alone() -> None:
    packets = OpenPackets()
    closed, silent = opened(packets), opened(packets, "192.0.2.2")
    closed.closed = True

    await until_sent(silent, 2)

    assert 1 == len(closed.sent)


async def test_addresses_are_remembered_in_a_bounded_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_packet, "MAX_ADDRESSES", 2)
    packets = OpenPackets()
    for number in range(3):
        await until_sent(opened(packets, f"192.0.2.{number}"), 2)

    assert ["192.0.2.1", "192.0.2.2"] == list(packets._dropping)
