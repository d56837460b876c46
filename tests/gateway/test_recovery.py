"""Connection state recovery as clients see it on the wire (Socket.IO 4.6 and later)."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from tests.gateway.harness import now, register, unread
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.reconnecting_client import Device, contents
from tests.support.server_thread import RunningServer, run_server
from tests.support.socket_client import SocketClient
from tests.support.until import until


async def settled(api: ApiClient, *sockets: SocketClient) -> None:
    """Everything sent so far has arrived; a lost socket was noticed."""
    await unread(*sockets)
    await api.get("/v1/account/profile")


@pytest.fixture
def short(environment: Environment) -> Iterator[RunningServer]:
    """A server that waits a second for those who come back, and keeps little for them."""
    variables = {"HAPPY_RECOVERY_SECONDS": "1", "HAPPY_RECOVERY_ACCOUNT_BYTES": "20000"}
    with run_server(environment, variables) as running:
        yield running


@pytest.fixture
async def short_api(short: RunningServer) -> AsyncIterator[ApiClient]:
    async with ApiClient.signed_in(short.url) as client:
        yield client


async def test_a_lost_client_gets_what_it_missed_once_and_in_order(api: ApiClient, sid: str) -> None:
    async with Device.of(api) as phone:
        await api.post_messages(sid, ["before"])
        await settled(api, phone)
        await phone.drop()
    await api.post_messages(sid, ["missed 1", "missed 2"])
    async with phone.again() as back:
        await api.post_messages(sid, ["after"])
        await settled(api, back)

        assert (back.id, back.pid) == (phone.id, phone.pid)
        assert contents(back) == ["missed 1", "missed 2", "after"]


async def test_what_was_on_its_way_is_sent_again(api: ApiClient, sid: str) -> None:
    """The last offset decides: the server may have written what the client never read."""
    async with Device.of(api) as phone:
        await api.post_messages(sid, ["1", "2", "3", "4"])
        await settled(api, phone)
        read = phone.events[1].args[1]
        await phone.drop()
    async with phone.again(read) as back:
        await settled(api, back)

        assert contents(back) == ["3", "4"]


async def test_without_an_offset_everything_since_the_first_connect_is_missed(
    api: ApiClient, sid: str
) -> None:
    await api.post_messages(sid, ["before"])
    async with Device.of(api) as phone:
        await phone.drop()
    await api.post_messages(sid, ["first"])
    async with phone.again() as back:
        await settled(api, back)

        assert contents(back) == ["first"]


async def test_an_offset_of_a_former_life_does_not_count(api: ApiClient, sid: str) -> None:
    """The library sends its last offset with the new private id, though it knows nothing of that life."""
    async with Device.of(api) as phone:
        await api.post_messages(sid, ["1"])
        await settled(api, phone)
    await api.post_messages(sid, ["2"])
    async with phone.again() as fresh:
        assert fresh.pid != phone.pid
        await fresh.drop()
    await api.post_messages(sid, ["3"])
    async with fresh.again(phone.events[0].args[1]) as back:
        await settled(api, back)

        assert back.pid == fresh.pid
        assert contents(back) == ["3"]


async def test_the_last_state_of_each_session_is_replayed(api: ApiClient, sid: str) -> None:
    """Not every one: the others are not true any more."""
    other = str((await api.create_session())["id"])
    async with Device.of(api) as phone:
        await phone.drop()
    async with api.session_socket(sid) as agent:
        for session, thinking in ((sid, True), (other, True), (sid, False)):
            await agent.emit("session-alive", {"sid": session, "time": now(), "thinking": thinking})
        await settled(api, agent)
    async with phone.again() as back:
        states = [event.payload for event in await unread(back)]

        assert back.id == phone.id
        assert [(state["id"], state["thinking"]) for state in states] == [(other, True), (sid, False)]


async def test_a_state_in_flight_at_the_loss_is_replayed(api: ApiClient, sid: str) -> None:
    """The server cannot know whether the client read what was written since it answered a ping."""
    async with Device.of(api) as phone, api.session_socket(sid) as agent:
        await agent.emit("session-alive", {"sid": sid, "time": now(), "thinking": True})
        await settled(api, agent, phone)
        async with phone.again() as back:
            (state,) = await unread(back)
            assert (state.payload["id"], state.payload["thinking"]) == (sid, True)


async def test_a_session_event_is_replayed_once(api: ApiClient, sid: str) -> None:
    event = {"kind": "done", "body": "b", "data": {}}
    async with Device.of(api) as phone:
        await api.post(f"/v1/sessions/{sid}/push-event", {**event, "title": "before"})
        await settled(api, phone)
        await phone.drop()
    for title in ("missed 1", "missed 2"):
        await api.post(f"/v1/sessions/{sid}/push-event", {**event, "title": title})
    async with phone.again() as back:
        assert [event.payload["title"] for event in await unread(back)] == ["missed 1", "missed 2"]
        await back.drop()
    async with back.again() as again:
        assert again.id == phone.id
        assert await unread(again) == []


async def test_a_client_that_disconnects_cleanly_is_not_recovered(api: ApiClient, sid: str) -> None:
    async with Device.of(api) as phone:
        await settled(api, phone)
    await api.post_messages(sid, ["missed"])
    async with phone.again() as back:
        assert back.id != phone.id
        assert back.pid != phone.pid
        assert await unread(back) == []


async def test_the_sender_does_not_get_its_own_message_back(api: ApiClient, sid: str) -> None:
    """Neither what it sent before the loss, nor, being the same connection, after it."""
    async with Device.of(api, clientType="session-scoped", sessionId=sid) as session, Device.of(api) as phone:
        await session.emit("message", {"sid": sid, "message": "own"})
        await settled(api, session, phone)
        await session.drop()
        async with session.again() as back:
            await back.emit("message", {"sid": sid, "message": "own too"})
            await api.post_messages(sid, ["posted"])
            await settled(api, back, phone)

            assert contents(back) == ["posted"]
    assert contents(phone) == ["own", "own too", "posted"]


@pytest.mark.parametrize(
    "changed", [{"clientType": "session-scoped", "sessionId": "s"}, {"clientType": "machine-scoped"}]
)
async def test_a_private_id_opens_no_other_scope(
    api: ApiClient, sid: str, mid: str, changed: dict[str, str]
) -> None:
    async with Device.of(api) as phone:
        await phone.drop()
    await api.post_messages(sid, ["missed"])
    async with phone.again(machineId=mid, **changed) as other:
        assert other.id != phone.id
        assert await unread(other) == []
    async with phone.again() as back:
        await settled(api, back)

        assert back.id == phone.id
        assert contents(back) == ["missed"]


async def test_a_private_id_opens_no_other_account(api: ApiClient, stranger: ApiClient, sid: str) -> None:
    async with Device.of(api) as phone:
        await phone.drop()
    await api.post_messages(sid, ["missed"])
    async with phone.again(token=stranger.token) as thief:
        assert thief.id != phone.id
        assert await unread(thief) == []


@pytest.mark.parametrize("pid", ["", "unknown", 5, None, {"a": 1}, "x" * 5_000])
async def test_an_unknown_recovery_token_starts_a_new_session(api: ApiClient, pid: object) -> None:
    async with Device.of(api, pid=pid, offset=[pid]) as phone:
        assert phone.pid
        assert phone.pid != pid


async def test_who_comes_back_before_the_loss_is_noticed_takes_over(api: ApiClient, sid: str) -> None:
    """The old link may look alive for a minute."""
    async with Device.of(api) as phone:
        await api.post_messages(sid, ["1"])
        await settled(api, phone)
        async with phone.again() as back:
            await phone.wait_closed()
            await api.post_messages(sid, ["2"])
            await settled(api, back)

            assert back.id == phone.id
            assert contents(back) == ["2"]


async def test_many_coming_back_at_once_leave_one_connection(api: ApiClient, sid: str) -> None:
    async with Device.of(api) as phone:
        crowd = [phone.again() for _ in range(10)]

        def open_ones() -> list[Device]:
            return [device for device in crowd if not device.closed.is_set()]

        await asyncio.gather(*(device.connect() for device in crowd))
        await api.post_messages(sid, ["once"])
        await until(lambda: len(open_ones()) == 1)

        (left,) = open_ones()
        await left.next_update("new-message")
        assert (contents(left), await left.unread()) == (["once"], [])
        for device in crowd:
            await device.close()


async def test_a_machine_that_comes_back_at_once_is_never_announced_offline(api: ApiClient, mid: str) -> None:
    async with Device.of(api) as phone:
        async with Device.of(api, clientType="machine-scoped", machineId=mid) as daemon:
            await daemon.drop()
        async with daemon.again() as back:
            seen = [await phone.next_ephemeral("machine-activity") for _ in range(2)]
            assert back.id == daemon.id
        seen.append(await phone.next_ephemeral("machine-activity"))

        assert [event["active"] for event in seen] == [True, True, False]


async def test_calls_are_served_after_the_client_has_registered_again(api: ApiClient, sid: str) -> None:
    async with Device.of(api) as phone:
        async with Device.of(api, clientType="session-scoped", sessionId=sid) as session:
            await register(session, f"{sid}:bash")
            await session.drop()
        async with session.again() as back:
            back.answer("rpc-request", lambda _: "done")
            await register(back, f"{sid}:bash")
            answer = await phone.call("rpc-call", {"method": f"{sid}:bash", "params": ""})

            assert answer == {"ok": True, "result": "done"}


async def test_after_the_window_everything_begins_anew(short_api: ApiClient) -> None:
    sid = (await short_api.create_session())["id"]
    async with Device.of(short_api) as phone:
        await phone.drop()
    await asyncio.sleep(1.2)  # longer than a lost client may be recovered
    await short_api.post_messages(sid, ["missed"])
    async with phone.again() as back:
        assert back.id != phone.id
        assert back.pid != phone.pid
        assert await unread(back) == []


async def test_a_client_that_missed_too_much_is_not_recovered(short_api: ApiClient) -> None:
    sid = (await short_api.create_session())["id"]
    async with Device.of(short_api) as phone:
        await phone.drop()
    for number in range(5):
        await short_api.post_messages(sid, [f"{number}" + "x" * 5_000])
    async with phone.again() as back:
        assert back.id != phone.id
        assert back.pid != phone.pid
        assert await unread(back) == []
        await short_api.post_messages(sid, ["next"])
        await settled(short_api, back)
        assert contents(back) == ["next"]


async def test_it_can_be_switched_off(environment: Environment) -> None:
    with run_server(environment, {"HAPPY_RECOVERY_SECONDS": "0"}) as running:
        async with ApiClient.signed_in(running.url) as api, Device.of(api) as phone:
            sid = (await api.create_session())["id"]
            await api.post_messages(sid, ["1"])
            await settled(api, phone)

            assert phone.pid == ""
            assert [len(event.args) for event in phone.events] == [1, 1]
