"""From polling to websocket without losing or reordering anything."""

import asyncio

import pytest

from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import Poller, RawWebSocket, Running
from tests.support.until import until


def probe(poller: Poller) -> RawWebSocket:
    return RawWebSocket(
        poller.url.removesuffix("/v1/updates/"), f"EIO=4&transport=websocket&sid={poller.sid}"
    )


async def test_a_session_moves_to_the_websocket(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            await socket.send("5", '421["echo",1]')
            assert await socket.receive() == "431[1]"
            refused = await poller.request("GET")

            assert refused.json()["code"] == 3
            assert server.engine.opened == {"polling": 1, "upgrade": 1}
            assert server.engine.connection_count == 1
    await until(lambda: server.application.reasons() == ["transport close"])


async def test_a_waiting_poll_is_released_for_the_upgrade(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        waiting = await poller.wait(server)
        async with probe(poller) as socket:
            await socket.send("2probe")
            assert await socket.receive() == "3probe"
            assert await waiting == "6"
            assert await asyncio.wait_for(poller.get(), 1) == "6"  # a client that polled once more
            await socket.send("5")
            await until(lambda: server.engine.opened["upgrade"] == 1)


async def test_the_last_poll_is_answered_when_the_answer_to_the_probe_has_arrived(server: Running) -> None:
    """Else a link that breaks between the two leaves the official client deaf for a minute."""
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            socket.websocket.transport.pause_reading()
            await socket.send("2probe")
            waiting = asyncio.create_task(poller.get())
            server.application.sockets[0].emit("queued", b"1")
            await asyncio.sleep(0.15)  # longer than a poll is held once the probe's answer has arrived
            assert not waiting.done()
            socket.websocket.transport.resume_reading()

            assert await socket.receive() == "3probe"
            assert await waiting == "6"
            await socket.send("5")
            assert await socket.receive() == '42["queued",1]'


async def test_a_probe_is_answered_while_a_poll_waits_or_after_a_moment(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(socket.receive(), 0.15)
            assert await asyncio.wait_for(socket.receive(), 1) == "3probe"


async def test_a_client_whose_websocket_carries_nothing_stays_on_polling(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("happy.gateway.engine.upgrade.PROBE_PONG_SECONDS", 0.2)
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            socket.websocket.transport.pause_reading()
            await socket.send("2probe")
            assert await poller.get() == "6"
            await poller.post('421["echo",1]')
            assert await poller.get() == "431[1]"
            socket.abort()


async def test_a_probe_that_breaks_before_its_answer_has_arrived_lets_the_poll_go(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            socket.websocket.transport.pause_reading()
            await socket.send("2probe")
            waiting = await poller.wait(server)
            server.application.sockets[0].emit("queued", b"1")
            socket.abort()

            assert await waiting == '42["queued",1]'


async def test_a_poll_that_still_waits_at_the_upgrade_ends_empty(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            await socket.receive()
            assert await poller.get() == "6"
            waiting = await poller.wait(server)
            await socket.send("5")
            await until(lambda: server.engine.opened["upgrade"] == 1)
            server.application.sockets[0].emit("after", b"1")

            assert await waiting == "6"
            assert await socket.receive() == '42["after",1]'


async def test_an_upgrade_may_follow_its_probe_without_waiting(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe", "5", '421["echo",1]')
            assert [await socket.receive() for _ in range(2)] == ["3probe", "431[1]"]
            assert (await poller.request("GET")).status_code == 400
            with pytest.raises(Exception, match="HTTP 400"):
                async with probe(poller):
                    pass
            await socket.send('422["echo",2]')
            assert await socket.receive() == "432[2]"


async def test_what_is_queued_follows_on_the_websocket(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            await socket.receive()
            for number in range(200):
                server.application.sockets[0].emit("n", str(number).encode())
            await socket.send("5")
            server_first = [await socket.receive() for _ in range(200)]

    assert server_first == [f'42["n",{number}]' for number in range(200)]


@pytest.mark.parametrize(
    "packets", [["2"], ["3probe"], ['42["echo"]'], ["2probe", "4"], ["2probe", "2probe"]]
)
async def test_a_wrong_probe_leaves_the_session_on_polling(server: Running, packets: list[str]) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send(*packets)
            await socket.drain()
        await poller.post('421["echo",1]')
        assert await poller.get() == "431[1]"

        async with probe(poller) as again:
            await again.send("2probe")
            assert await again.receive() == "3probe"


async def test_a_probe_that_vanishes_leaves_the_session_on_polling(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            await socket.receive()
            socket.abort()
        await poller.post('421["echo",1]')
        assert await poller.get() == "431[1]"
        assert server.application.left == []


async def test_an_upgrade_that_is_not_completed_is_given_up(serve: Serve) -> None:
    server = await serve(upgrade_timeout=0.5)
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            await socket.receive()
            await socket.closed()
        await poller.post('421["echo",1]')
        assert await poller.get() == "431[1]"


async def test_only_one_websocket_at_a_time_may_try(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            await socket.receive()
            with pytest.raises(Exception, match="HTTP 400"):
                async with probe(poller):
                    pass
            await socket.send("5", '421["echo",1]')
            assert await socket.receive() == "431[1]"
            with pytest.raises(Exception, match="HTTP 400"):
                async with probe(poller):
                    pass


async def test_a_session_that_ends_takes_the_probe_with_it(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.join()
        async with probe(poller) as socket:
            await socket.send("2probe")
            await socket.receive()
            server.application.sockets[0].close()
            await socket.closed()
        with pytest.raises(Exception, match="HTTP 400"):
            async with probe(poller):
                pass
    await until(lambda: server.application.reasons() == ["server close"])
