"""How a session begins, and the requests that are refused."""

import asyncio
from typing import Any

import httpx
import pytest

from tests.gateway.engine.conftest import Serve
from tests.gateway.engine.harness import PATH, Poller, RawWebSocket, Running
from tests.support.until import until

SID = "sid=nosuchsession"


async def request(server: Running, method: str, query: str, **more: Any) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, verify=False) as http:
        return await http.request(method, f"{server.url}{PATH}?{query}", **more)


async def test_a_websocket_session_announces_its_limits(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()

    sid = socket.open_packet.pop("sid")
    assert len(sid) == 20
    assert socket.open_packet == {
        "upgrades": [],
        "pingInterval": 15000,
        "pingTimeout": 45000,
        "maxPayload": 16_000_000,
    }


async def test_a_polling_session_offers_the_upgrade(server: Running) -> None:
    async with Poller(server.url) as poller:
        await poller.open()

    assert poller.open_packet["upgrades"] == ["websocket"]


async def test_the_connect_answer_names_the_socket(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.join({"token": "t"})

        assert len(socket.id) == 20
        assert socket.id != socket.open_packet["sid"]
        assert server.application.sockets[0].id == socket.id
        assert server.application.auths == [{"token": "t"}]
        assert "user-agent" in server.application.headers[0]


@pytest.mark.parametrize(
    ("method", "query", "code", "message"),
    [
        ("GET", "EIO=4", 0, "Transport unknown"),
        ("GET", "EIO=4&transport=webtransport", 0, "Transport unknown"),
        ("GET", f"EIO=4&transport=polling&{SID}", 1, "Session ID unknown"),
        ("POST", f"EIO=4&transport=polling&{SID}", 1, "Session ID unknown"),
        ("POST", "EIO=4&transport=polling", 2, "Bad handshake method"),
        ("PUT", "EIO=4&transport=polling", 2, "Bad handshake method"),
        ("GET", "EIO=4&transport=websocket", 3, "Bad request"),
        ("GET", "EIO=4&transport=polling&j=0", 3, "Bad request"),
        ("GET", "EIO=3&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "EIO=abc&transport=polling", 5, "Unsupported protocol version"),
        ("GET", "transport=polling", 5, "Unsupported protocol version"),
    ],
)
async def test_a_wrong_request_is_refused(
    server: Running, method: str, query: str, code: int, message: str
) -> None:
    answer = await request(server, method, query)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {"code": code, "message": message}
    assert server.engine.connection_count == 0


@pytest.mark.parametrize(
    "query",
    [
        "EIO=3&transport=websocket",
        "EIO=abc&transport=websocket",
        "transport=websocket",
        "EIO=4",
        "EIO=4&transport=abc",
        "EIO=4&transport=polling",
        f"EIO=4&transport=websocket&{SID}",
    ],
)
async def test_a_wrong_websocket_handshake_is_refused(server: Running, query: str) -> None:
    with pytest.raises(Exception, match="HTTP 400"):
        async with RawWebSocket(server.url, query):
            pass


@pytest.mark.parametrize("method", ["DELETE", "PUT", "PATCH"])
async def test_methods_that_a_session_does_not_have_are_refused(server: Running, method: str) -> None:
    async with Poller(server.url) as poller:
        await poller.open()
        refused = await poller.request(method)

    assert (refused.status_code, refused.json()["code"]) == (400, 3)


async def test_a_session_keeps_its_transport_and_version(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        sid = socket.open_packet["sid"]
        polling = await request(server, "GET", f"EIO=4&transport=polling&sid={sid}")
        version = await request(server, "GET", f"EIO=3&transport=polling&sid={sid}")
        with pytest.raises(Exception, match="HTTP 400"):
            async with RawWebSocket(server.url, f"EIO=4&transport=websocket&sid={sid}"):
                pass

    assert polling.json()["code"] == version.json()["code"] == 3


async def test_browsers_of_any_origin_may_ask(server: Running) -> None:
    origin = {"origin": "https://app.example"}
    answer = await request(server, "GET", "EIO=4&transport=polling", headers=origin)
    error = await request(server, "GET", "EIO=4", headers=origin)
    plain = await request(server, "GET", "EIO=4&transport=polling")

    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "Origin"
    assert answer.headers["cache-control"] == "no-store"
    assert error.headers["access-control-allow-origin"] == "https://app.example"
    assert plain.headers["access-control-allow-origin"] == "*"


async def test_a_preflight_allows_the_requested_headers(server: Running) -> None:
    asked = {
        "origin": "https://app.example",
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,x-happy-client",
    }
    answer = await request(server, "OPTIONS", "EIO=4&transport=polling", headers=asked)

    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "https://app.example"
    assert answer.headers["access-control-allow-methods"] == "GET,POST,OPTIONS"
    assert answer.headers["access-control-allow-headers"] == "authorization,x-happy-client"
    assert answer.headers["access-control-allow-credentials"] == "true"


async def test_a_refusal_reaches_the_client_and_leaves_the_transport_open(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send('40{"refuse":"Missing authentication token"}')
        assert await socket.receive() == '44{"message":"Missing authentication token"}'

        await socket.send('40{"token":"t"}')
        assert (await socket.receive()).startswith("40")
    await until(lambda: len(server.application.left) == 1)


async def test_a_fault_while_connecting_closes_the_transport_without_an_answer(
    server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send('40{"crash":"database away"}')
        await socket.closed()

    assert server.application.left == []
    assert "connect handler failed" in caplog.text


async def test_other_namespaces_are_refused(server: Running) -> None:
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send('40/admin,{"token":"t"}')
        assert await socket.receive() == '44/admin,{"message":"Invalid namespace"}'
        await socket.send("40")
        assert (await socket.receive()).startswith("40{")


async def test_what_is_sent_while_connecting_follows_the_answer(server: Running) -> None:
    async def admit(socket: Any, _: Any) -> None:
        socket.emit("early", b"1")
        await asyncio.sleep(0.02)  # the work of the handler
        socket.emit("early", b"2")

    server.application.admit = admit
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send("40")
        first = [await socket.receive() for _ in range(3)]

    assert first[0].startswith("40{")
    assert first[1:] == ['42["early",1]', '42["early",2]']


async def test_a_client_that_never_connects_is_dropped(serve: Serve) -> None:
    server = await serve(connect_timeout=0.15)
    async with RawWebSocket(server.url) as socket, RawWebSocket(server.url) as joined:
        await joined.join()
        await socket.open()
        await socket.closed()
        await joined.send('421["echo",1]')
        assert await joined.receive() == "431[1]"

    assert server.engine.closed["connect timeout"] == 1


async def test_a_client_that_left_its_namespace_has_a_while_to_come_back(serve: Serve) -> None:
    server = await serve(connect_timeout=0.15)
    async with RawWebSocket(server.url) as socket:
        await socket.join()
        await socket.send("41", "40")
        assert (await socket.receive()).startswith("40{")
        await socket.send("41")
        await socket.closed()

    assert server.application.reasons() == ["client namespace disconnect"] * 2


async def test_a_session_whose_client_vanishes_while_connecting_is_still_ended(server: Running) -> None:
    async def admit(socket: Any, _: Any) -> None:
        admitting.append(socket)
        await aborted.wait()

    admitting: list[Any] = []
    aborted = asyncio.Event()
    server.application.admit = admit
    async with RawWebSocket(server.url) as socket:
        await socket.open()
        await socket.send("40")
        await until(lambda: admitting)
        socket.abort()
        aborted.set()
    await until(lambda: len(server.application.left) == 1)

    assert server.application.log == ["connect", "disconnected: transport close"]


async def test_a_query_of_thousands_of_parameters_is_not_parsed(server: Running) -> None:
    parameters = "&".join(f"x{number}=1" for number in range(1_000))
    answer = await request(server, "GET", f"EIO=4&transport=polling&{parameters}")

    assert (400, "Transport unknown") == (answer.status_code, answer.json()["message"])
