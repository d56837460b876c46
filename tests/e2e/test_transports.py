"""Websocket, polling, and the way from one to the other, with the official client."""

import pytest

from tests.e2e.conftest import Account

pytestmark = pytest.mark.asyncio(loop_scope="session")

POLLING = {"transports": ["polling"]}
UPGRADE = {"transports": ["polling", "websocket"]}


@pytest.mark.parametrize("options", [POLLING, UPGRADE], ids=["polling", "upgrade"])
async def test_everything_works_over_polling_too(account: Account, options: dict[str, list[str]]) -> None:
    sid = (await account.api.create_session())["id"]
    async with (
        account.session(sid).with_options(**options) as session,
        account.user().with_options(**options) as phone,
    ):
        assert options is UPGRADE or session.transport == "polling"
        answer = await session.call("update-metadata", {"sid": sid, "metadata": "ä😀", "expectedVersion": 0})
        await account.api.post_messages(sid, ["one", "two"])
        seen = [await phone.next_update() for _ in range(3)]
        await session.answer("rpc-request", echo=True)
        await session.emit("rpc-register", {"method": "s:echo"})
        await session.next_event("rpc-registered")
        called = await phone.call("rpc-call", {"method": "s:echo", "params": "p"})

    assert answer == {"result": "success", "version": 1, "metadata": "ä😀"}
    assert [body["t"] for body in seen] == ["update-session", "new-message", "new-message"]
    assert called == {"ok": True, "result": {"method": "s:echo", "params": "p"}}


async def test_polling_is_upgraded_and_loses_nothing_on_the_way(account: Account) -> None:
    sid = (await account.api.create_session())["id"]
    async with account.user().with_options(**UPGRADE) as phone:
        for number in range(50):
            await account.api.post_messages(sid, [f"message {number}"])
        upgraded = await phone.next_life("upgrade")
        seen = [(await phone.next_update())["message"]["seq"] for _ in range(50)]

    assert upgraded.detail["transport"] == "websocket"
    assert seen == list(range(1, 51))


@pytest.mark.parametrize("options", [{}, POLLING], ids=["websocket", "polling"])
async def test_a_message_of_several_megabytes_passes(account: Account, options: dict[str, list[str]]) -> None:
    """A larger one than a million bytes used to drop the connection; now 16 MB are announced."""
    sid = (await account.api.create_session())["id"]
    text = "x" * 5_000_000
    async with account.session(sid).with_options(**options) as session, account.user() as phone:
        await session.emit("message", {"sid": sid, "message": text, "localId": "big"})
        body = await phone.next_update(timeout=10)

        assert body["message"]["content"]["c"] == text
        assert await session.call("ping") == {}


@pytest.mark.slow
async def test_polling_clients_are_seen_leaving(account: Account) -> None:
    mid = (await account.api.register_machine())["id"]
    async with account.user() as phone:
        async with account.machine(mid).with_options(**POLLING):
            online = await phone.next_ephemeral()
        offline = await phone.next_ephemeral()

    assert (online["active"], offline["active"]) == (True, False)


@pytest.mark.parametrize(
    ("path", "status", "body"),
    [
        ("/v1/updates/?EIO=3&transport=polling", 400, {"code": 5, "message": "Unsupported protocol version"}),
        ("/v1/updates/?EIO=4", 400, {"code": 0, "message": "Transport unknown"}),
        ("/v1/updates/?EIO=4&transport=smoke", 400, {"code": 0, "message": "Transport unknown"}),
    ],
)
async def test_a_transport_that_is_not_ours_is_refused(
    account: Account, path: str, status: int, body: dict[str, object]
) -> None:
    response = await account.api.request("GET", path)

    assert (response.status_code, response.json()) == (status, body)


async def test_the_open_packet_announces_the_limits(account: Account) -> None:
    async with account.api.user_socket() as socket:
        announced = {key: socket.open_packet[key] for key in ("pingInterval", "pingTimeout", "maxPayload")}

    assert announced["pingInterval"] == 15_000
    assert announced["pingTimeout"] == 45_000
    assert announced["maxPayload"] >= 16_000_000


async def test_without_its_last_slash_the_path_is_an_unknown_route(account: Account) -> None:
    response = await account.api.request("GET", "/v1/updates?EIO=4&transport=polling")

    assert response.status_code == 404
    assert response.json()["error"] == "Not found"
