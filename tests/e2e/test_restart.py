"""A server that is killed or stopped, and what its clients see of it."""

import asyncio

import pytest

from tests.e2e.conftest import Account
from tests.support.api_client import ApiClient
from tests.support.official_client import NodeClient
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("how", ["killed", "stopped"])
async def test_clients_come_back_by_themselves(own_server: Server, client: NodeClient, how: str) -> None:
    """A Socket.IO DISCONNECT or a connect error would stop the library's reconnection for good."""
    async with ApiClient.signed_in(own_server.url) as api:
        account = Account(api, client)
        sid = (await api.create_session())["id"]
        async with account.session(sid) as session, account.user() as phone:
            await api.post_messages(sid, ["before"])
            if how == "killed":
                own_server.kill()
            else:
                assert await own_server.stop() == 0
            lost = await session.next_life("disconnect")
            await session.next_life("connect_error")
            await own_server.start()
            back = await session.next_life("connect", timeout=10)
            await phone.next_life("connect", timeout=10)
            await session.emit("message", {"sid": sid, "message": "after"})
            body = await phone.next_update("new-message")
            while body["message"]["content"]["c"] != "after":
                body = await phone.next_update("new-message")

            assert lost.detail["reason"] in {"transport close", "transport error"}
            assert lost.detail["active"] is True
            assert not (own_server.flavor == "light" and back.detail["recovered"])  # Redis may remember
            assert body["message"]["seq"] == 2


async def test_polling_clients_come_back_by_themselves(own_server: Server, client: NodeClient) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        phone = Account(api, client).user().with_options(transports=["polling"])
        async with phone:
            own_server.kill()
            lost = await phone.next_life("disconnect", timeout=10)
            await own_server.start()
            await phone.next_life("connect", timeout=10)

            assert lost.detail["active"] is True
            assert await phone.call("ping") == {}


async def test_a_daemon_is_called_again_after_a_restart(own_server: Server, client: NodeClient) -> None:
    """The phone's call waits in the grace window until the daemon has registered anew."""
    async with ApiClient.signed_in(own_server.url) as api:
        account = Account(api, client)
        async with account.machine("m") as daemon, account.user() as phone:
            await daemon.answer("rpc-request", value="back")
            own_server.kill()
            await own_server.start()
            await phone.next_life("connect", timeout=10)
            calling = asyncio.create_task(phone.call("rpc-call", {"method": "m:bash"}, timeout=20))
            await daemon.next_life("connect", timeout=10)
            await daemon.emit("rpc-register", {"method": "m:bash"})

            assert await calling == {"ok": True, "result": "back"}


async def test_what_was_acknowledged_is_there_after_a_kill(own_server: Server, client: NodeClient) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        account = Account(api, client)
        session = await api.create_session(metadata="first")
        sid = session["id"]
        async with account.session(sid) as socket:
            stored = await api.post_messages(sid, ["one", "two"], ["a", "b"])
            await socket.call("message", {"sid": sid, "message": "three", "localId": "c"})
            await socket.call("update-metadata", {"sid": sid, "metadata": "second", "expectedVersion": 0})
            own_server.kill()
        await own_server.start()
        messages = await api.messages(sid)
        again = await api.post_messages(sid, ["one", "two"], ["a", "b"])
        (listed,) = (await api.get("/v1/sessions"))["sessions"]

        assert [message["localId"] for message in messages] == ["a", "b", "c"]
        assert [message["seq"] for message in messages] == [1, 2, 3]
        assert again == stored
        assert (listed["metadata"], listed["metadataVersion"], listed["seq"]) == ("second", 1, 3)


async def test_an_order_to_end_is_followed_within_five_seconds(
    own_server: Server, client: NodeClient
) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        account = Account(api, client)
        async with account.machine("m"), account.user() as phone:
            waiting = asyncio.create_task(phone.call("rpc-call", {"method": "m:none"}, timeout=8))
            await asyncio.sleep(0)  # it is sent first
            await phone.call("ping")
            async with asyncio.timeout(5):
                code = await own_server.stop()
            with pytest.raises(TimeoutError):
                await waiting

        assert code == 0
        assert "Traceback" not in own_server.log_text()


async def test_the_log_of_a_start_says_who_may_make_an_account(own_server: Server) -> None:
    """The full server has no banner, and said `registration=open` alone."""
    text = own_server.log_text()

    assert 1 == text.count("whoever reaches this server can make one (HAPPY_REGISTRATION=first, approve, ")
