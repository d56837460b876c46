"""The same over long-polling, and what only polling can get wrong."""

import asyncio
from typing import Any

import pytest

from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import Poller, Running
from tests.support.until import until


async def test_events_and_acknowledgements_pass(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join({"token": "t"})
        assert await poller.post('421["echo","é"]', '42["note"]') == "ok"
        assert await poller.get() == '431["é"]'

    assert server.application.events == [("echo", ["é"]), ("note", [])]
    assert server.application.auths == [{"token": "t"}]


async def test_a_waiting_poll_gets_what_is_sent_together(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        waiting = await poller.wait(server)
        assert not waiting.done()
        for number in range(3):
            server.application.sockets[0].emit("n", str(number).encode())

        assert await waiting == '42["n",0]\x1e42["n",1]\x1e42["n",2]'


async def test_what_was_sent_between_polls_is_kept_in_order(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        for number in range(500):
            server.application.sockets[0].emit("n", str(number).encode())
        received = (await poller.get()).split("\x1e")

    assert received == [f'42["n",{number}]' for number in range(500)]


async def test_answers_carry_the_types_that_clients_expect(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.open()
        posted = await poller.request("POST", "40", headers={"content-type": "text/plain;charset=UTF-8"})
        polled = await poller.request("GET")

    assert (posted.status_code, posted.text) == (200, "ok")
    assert polled.headers["content-type"] == "text/plain; charset=UTF-8"


async def test_binary_packets_travel_as_base64(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        await poller.post('451-3["echo",{"_placeholder":true,"num":0}]', "baGVsbG8=")
        assert await poller.get() == '433["aGVsbG8="]'


async def test_two_polls_at_once_close_the_session(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        first = await poller.wait(server)
        second = await poller.request("GET")
        third = await poller.request("GET")

        assert second.status_code == 400
        assert await first == "1"
        assert third.json() == {"code": 1, "message": "Session ID unknown"}
    assert server.application.reasons() == ["transport error"]


async def test_two_posts_at_once_close_the_session(server: Running) -> None:
    refused = asyncio.Event()

    async def slow(*_: object) -> None:
        await refused.wait()

    server.application.on["slow"] = slow
    async with Poller(server.url) as poller:
        await poller.join()
        first = asyncio.create_task(poller.request("POST", '42["slow"]\x1e42["after"]'))
        await until(lambda: server.application.names() == ["slow"])
        second = await poller.request("POST", '42["never"]')
        refused.set()
        await first

    assert second.status_code == 400
    assert server.application.log == ["connect", "slow", "after", "disconnected: transport error"]


async def test_a_poll_that_is_given_up_ends_the_session(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        waiting = await poller.wait(server)
        waiting.cancel()
        await until(lambda: server.application.reasons() == ["transport error"])


async def test_a_close_packet_ends_the_session(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        waiting = await poller.wait(server)
        assert await poller.post('42["session-end"]', "41", "1") == "ok"
        assert await waiting == "6"

    expected = ["connect", "session-end", "disconnected: client namespace disconnect"]
    assert server.application.log == expected
    assert server.engine.connection_count == 0


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"x", b"b***", b"42[]", b'42["ok"]\x1e42[', b"\x1e", b'42["ok"]\x1e\x1e42["ok"]']
)
async def test_a_malformed_body_closes_the_session(server: Running, body: bytes) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        refused = await poller.request("POST", body)
        gone = await poller.request("GET")

    assert refused.status_code == 400
    assert gone.json()["code"] == 1
    assert server.application.reasons() == ["parse error"]


async def test_a_socket_closed_by_the_server_releases_the_poll(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        waiting = await poller.wait(server)
        held = server.application.sockets[0]
        held.emit("last", b"1")
        held.close()

        assert await waiting == '42["last",1]'
        assert (await poller.request("GET")).json()["code"] == 1
    assert server.application.reasons() == ["server close"]


async def test_a_post_whose_link_died_unnoticed_does_not_outlive_its_session(serve: Serve) -> None:
    """The application learned of the end of such a client when its TCP connection ended: perhaps never."""
    server = await serve(ping_interval=0.2, ping_timeout=0.3)
    async with Poller(server.url) as poller:
        await poller.join()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        target = f"/v1/updates/?EIO=4&transport=polling&sid={poller.sid}"
        writer.write(f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n42".encode())
        await until(lambda: server.application.reasons() == ["ping timeout"])

        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()


async def test_a_post_that_breaks_off_ends_the_session(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        _, writer = await asyncio.open_connection("127.0.0.1", server.port)
        target = f"/v1/updates/?EIO=4&transport=polling&sid={poller.sid}"
        head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n42"
        writer.write(head.encode())
        polling: Any = server.connection().transport
        await until(lambda: polling._posting)
        writer.transport.abort()
        await until(lambda: server.application.reasons() == ["transport error"])
