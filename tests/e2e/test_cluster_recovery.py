"""A client that lost its connection takes up where it was at another replica."""

import asyncio
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio

from tests.support.api_client import ApiClient
from tests.support.cluster import Pair, cluster
from tests.support.reconnecting_client import Device, contents
from tests.support.socket_client import SocketClient
from tests.support.until import until

pytestmark = [pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]


@pytest_asyncio.fixture(loop_scope="session")
async def sid(pair: Pair) -> str:
    return str((await pair[0].create_session())["id"])


async def received(socket: SocketClient, *expected: str) -> None:
    """What the socket heard of in this life, once all of it has come, and what was sent before an answer."""
    await until(lambda: len(contents(socket)) >= len(expected))
    await socket.call("ping")
    assert contents(socket) == list(expected)


async def test_it_gets_what_it_missed_once_and_in_order(pair: Pair, sid: str) -> None:
    one, other = pair
    async with Device.of(one) as phone:
        await one.post_messages(sid, ["before"])
        await received(phone, "before")
        await phone.drop()
    await one.post_messages(sid, ["missed 1"])
    await other.post_messages(sid, ["missed 2"])
    async with phone.again(at=other.url) as back:
        await one.post_messages(sid, ["after 1"])
        await received(back, "missed 1", "missed 2", "after 1")
        await other.post_messages(sid, ["after 2"])
        await received(back, "missed 1", "missed 2", "after 1", "after 2")

        assert (back.id, back.pid) == (phone.id, phone.pid)


async def test_what_was_on_its_way_is_sent_again(pair: Pair, sid: str) -> None:
    one, other = pair
    async with Device.of(one) as phone:
        await one.post_messages(sid, ["1", "2", "3"])
        await other.post_messages(sid, ["4"])
        await received(phone, "1", "2", "3", "4")
        read = phone.events[1].args[1]
        await phone.drop()
    async with phone.again(read, at=other.url) as back:
        await received(back, "3", "4")


async def test_without_an_offset_it_gets_everything_since_its_first_connect(pair: Pair, sid: str) -> None:
    one, other = pair
    await one.post_messages(sid, ["before"])
    async with Device.of(one) as phone:
        await phone.drop()
    await one.post_messages(sid, ["first"])
    async with phone.again(at=other.url) as back:
        await received(back, "first")


def _has_received(device: Device, count: int) -> bool:
    return len(contents(device)) >= count


async def test_it_may_go_back_and_forth(pair: Pair, sid: str) -> None:
    one, other = pair
    device = Device.of(one)
    for turn in range(6):
        here, there = pair if turn % 2 else (other, one)
        async with device as current:
            await here.post_messages(sid, [f"{turn} here"])
            await there.post_messages(sid, [f"{turn} there"])
            missed = [f"missed {turn - 1}"] if turn else []
            expected = [*missed, f"{turn} here", f"{turn} there"]
            await until(partial(_has_received, current, len(expected)))
            assert sorted(contents(current)) == sorted(expected)
            await current.drop()
        await there.post_messages(sid, [f"missed {turn}"])
        device = current.again(at=here.url)


async def test_a_loss_in_the_middle_of_the_replay_repeats_only_the_rest(pair: Pair, sid: str) -> None:
    one, other = pair
    async with Device.of(one) as phone:
        await phone.drop()
    await one.post_messages(sid, ["1", "2"])
    await other.post_messages(sid, ["3", "4"])
    async with phone.again(at=other.url) as back:
        await received(back, "1", "2", "3", "4")
        offsets = [event.args[1] for event in back.events]
        await back.drop()
    for index, offset in enumerate(offsets):
        for api in (one, other):
            async with back.again(offset, at=api.url) as again:
                await received(again, *["1", "2", "3", "4"][index + 1 :])
                await again.drop()


async def test_events_of_others_do_not_count_as_its_own(pair: Pair, sid: str) -> None:
    """A quiet session of a busy account recovers by its first offset or by none."""
    one, other = pair
    quiet = str((await one.create_session())["id"])
    async with Device.of(one, clientType="session-scoped", sessionId=quiet) as session:
        await one.post_messages(sid, [f"noise {number}" for number in range(50)])
        await session.drop()
    await other.post_messages(quiet, ["for it"])
    await other.post_messages(sid, ["more noise"])
    async with session.again(at=other.url) as back:
        await received(back, "for it")


async def test_its_own_messages_are_not_echoed_to_it(pair: Pair, sid: str) -> None:
    one, other = pair
    async with (
        Device.of(one, clientType="session-scoped", sessionId=sid) as session,
        other.user_socket() as phone,
    ):
        await session.emit("message", {"sid": sid, "message": "own"})
        await received(phone, "own")
        await session.drop()
        async with session.again(at=other.url) as back:
            await back.emit("message", {"sid": sid, "message": "own too"})
            await phone.next_event("update")
            await phone.next_event("update")
            await one.post_messages(sid, ["posted"])
            await received(back, "posted")
        await received(phone, "own", "own too", "posted")


async def test_after_a_goodbye_it_is_a_stranger_everywhere(pair: Pair, sid: str) -> None:
    one, other = pair
    async with Device.of(one) as phone:
        pass
    await one.post_messages(sid, ["missed"])
    async with phone.again(at=other.url) as back:
        await received(back)

        assert back.pid != phone.pid
        assert back.id != phone.id


@pytest.mark.parametrize("changed", [{"clientType": "session-scoped", "sessionId": "s"}, {"token": None}])
async def test_a_private_id_opens_nothing_else(pair: Pair, sid: str, changed: dict[str, str | None]) -> None:
    one, other = pair
    async with Device.of(one) as phone, ApiClient.signed_in(one.url) as stranger:
        await phone.drop()
        await one.post_messages(sid, ["missed"])
        given = {key: value or stranger.token for key, value in changed.items()}
        async with phone.again(at=other.url, **given) as thief:
            await received(thief)
            assert thief.id != phone.id


async def test_a_private_id_that_was_changed_is_not_known(pair: Pair, sid: str) -> None:
    one, other = pair
    async with Device.of(one) as phone:
        await phone.drop()
    await one.post_messages(sid, ["missed"])
    body, _, proof = phone.pid.partition(".")
    for pid in (f"{body[:-2]}AA.{proof}", f"{body}.{proof[:-2]}AA", f"{body}.", body, ".", "%.%"):
        async with phone.again(at=other.url, pid=pid) as thief:
            await received(thief)
            assert thief.id != phone.id


async def test_a_former_connection_on_another_replica_is_closed(pair: Pair, sid: str) -> None:
    one, other = pair
    async with Device.of(one) as phone:
        await one.post_messages(sid, ["1"])
        await received(phone, "1")
        async with phone.again(at=other.url) as back:
            await phone.wait_closed()
            await one.post_messages(sid, ["2"])
            await received(back, "2")

            assert back.id == phone.id
            assert contents(phone) == ["1"]


async def test_it_serves_calls_after_it_has_registered_again(pair: Pair) -> None:
    one, other = pair
    machine = str((await one.register_machine())["id"])
    auth = {"clientType": "machine-scoped", "machineId": machine}
    async with Device.of(one, **auth) as daemon, one.user_socket() as phone:
        await daemon.emit("rpc-register", {"method": "m:echo"})
        await daemon.next_event("rpc-registered")
        await daemon.drop()
        async with daemon.again(at=other.url) as back:
            back.answer("rpc-request", lambda _: "back")
            await back.emit("rpc-register", {"method": "m:echo"})

            assert {"ok": True, "result": "back"} == await phone.call("rpc-call", {"method": "m:echo"})


@pytest.mark.slow
async def test_the_window_and_the_bound_hold_everywhere(tmp_path: Path) -> None:
    variables = {"HAPPY_RECOVERY_SECONDS": "1", "HAPPY_RECOVERY_ACCOUNT_BYTES": "20000"}
    async with (
        cluster(tmp_path, 2, variables=variables) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
    ):
        sid = str((await one.create_session())["id"])
        async with Device.of(one) as late, Device.of(one) as slow:
            await late.drop()
            await asyncio.sleep(1.2)  # longer than the window
            await one.post_messages(sid, ["missed"])
            async with late.again(at=other.url) as back:
                await received(back)
                assert back.pid != late.pid
            await received(slow, "missed")
            await slow.drop()
        for _ in range(5):
            await one.post_messages(sid, ["x" * 5_000])
        async with slow.again(at=other.url) as back:
            await received(back)
            assert back.pid != slow.pid


@pytest.mark.slow
async def test_a_killed_replica_costs_its_clients_nothing(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, 2) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
    ):
        sid = str((await one.create_session())["id"])
        async with Device.of(one) as phone:
            await other.post_messages(sid, ["1"])
            await received(phone, "1")
            await asyncio.sleep(1.5)  # the first replica has published all that it committed, and said so
            first.kill()
            await phone.wait_closed()
            await other.post_messages(sid, ["2"])
            async with phone.again(at=other.url) as back:
                await other.post_messages(sid, ["3"])
                await received(back, "2", "3")
                await back.drop()
            await other.post_messages(sid, ["4"])
            await first.start()
            async with back.again(at=one.url) as again:
                await received(again, "4")

                assert again.id == phone.id
