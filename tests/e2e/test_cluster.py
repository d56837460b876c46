"""Two replicas behave as one server; one of them may go at any time."""

import asyncio
import time
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.support.api_client import ApiClient
from tests.support.cluster import Pair, Replica, cluster
from tests.support.databases import new_database
from tests.support.environments import SECRET
from tests.support.redis_server import Wire
from tests.support.until import until

pytestmark = [pytest.mark.services, pytest.mark.asyncio(loop_scope="session")]


async def test_updates_cross_replicas_in_order(pair: Pair) -> None:
    one, other = pair
    session = str((await one.create_session())["id"])
    async with other.user_socket() as phone:
        for number in range(20):
            await one.post_messages(session, [f"text {number}"])
        seqs = [(await phone.next_update("new-message"))["message"]["seq"] for _ in range(20)]

    assert list(range(1, 21)) == seqs


async def test_a_call_reaches_a_connection_of_the_other_replica(pair: Pair) -> None:
    one, other = pair
    machine = str((await one.register_machine())["id"])
    async with one.machine_socket(machine) as daemon, other.user_socket() as phone:
        daemon.answer("rpc-request", lambda request: {"echo": request})
        await daemon.emit("rpc-register", {"method": "m:echo"})
        await daemon.next_event("rpc-registered")
        answer = await phone.call("rpc-call", {"method": "m:echo", "params": "text"})

    assert {"ok": True, "result": {"echo": {"method": "m:echo", "params": "text"}}} == answer


async def test_a_call_waits_for_a_registration_on_the_other_replica(pair: Pair) -> None:
    one, other = pair
    machine = str((await one.register_machine())["id"])
    async with one.machine_socket(machine) as daemon, other.user_socket() as phone:
        daemon.answer("rpc-request", lambda request: "late")
        call = asyncio.create_task(phone.call("rpc-call", {"method": "m:late", "params": ""}))
        await asyncio.sleep(0)  # it is sent first
        await phone.call("ping")
        assert not call.done()
        await daemon.emit("rpc-register", {"method": "m:late"})

        assert {"ok": True, "result": "late"} == await call


def _named(name: str, _: Any) -> str:
    return name


async def test_the_newest_machine_wins_even_over_one_of_this_replica(pair: Pair) -> None:
    one, other = pair
    machine = str((await one.register_machine())["id"])
    async with (
        other.machine_socket(machine) as stale,
        one.machine_socket(machine) as daemon,
        other.user_socket() as phone,
    ):
        for name, socket in (("stale", stale), ("newest", daemon)):
            socket.answer("rpc-request", partial(_named, name))
            await socket.emit("rpc-register", {"method": "m:who"})
            await socket.next_event("rpc-registered")

        async def is_answered_by(name: str) -> bool:
            return (await phone.call("rpc-call", {"method": "m:who"})).get("result") == name

        await until(lambda: is_answered_by("newest"))
        await daemon.close()
        await until(lambda: is_answered_by("stale"))


@pytest.mark.slow
async def test_a_machine_is_offline_when_its_last_connection_anywhere_has_gone(pair: Pair) -> None:
    one, other = pair
    machine = str((await one.register_machine())["id"])
    async with one.user_socket() as phone:
        async with one.machine_socket(machine):
            async with other.machine_socket(machine):
                for _ in range(2):
                    assert (await phone.next_ephemeral("machine-activity"))["active"] is True
            await other.create_session()
            await phone.next_update("new-session")  # its replica knows by now that a connection has gone
            assert [] == [event for event in phone.take() if event.name == "ephemeral"]
        assert (await phone.next_ephemeral("machine-activity"))["active"] is False


async def test_heartbeats_of_a_stopped_session_are_ignored_on_the_other_replica(pair: Pair) -> None:
    one, other = pair
    session = str((await one.create_session())["id"])
    async with other.session_socket(session) as agent, other.user_socket() as phone:
        await one.post(f"/v1/sessions/{session}/archive")
        assert (await phone.next_ephemeral("activity"))["active"] is False
        await agent.emit("session-alive", {"sid": session, "time": int(time.time() * 1000)})
        await agent.call("ping")

        assert [] == [event for event in await phone.unread() if event.name == "ephemeral"]


async def test_calls_to_a_killed_replica_fail_within_three_seconds(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, 2) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
    ):
        machine = str((await one.register_machine())["id"])
        async with one.machine_socket(machine) as daemon, other.user_socket() as phone:
            await daemon.emit("rpc-register", {"method": "m:silent"})
            await daemon.next_event("rpc-registered")
            call = asyncio.create_task(phone.call("rpc-call", {"method": "m:silent"}, timeout=20))
            await daemon.next_event("rpc-request")
            first.kill()
            killed = time.monotonic()
            answer = await call

            assert {"ok": False, "error": "RPC target disconnected"} == answer
            assert time.monotonic() - killed < 3


@pytest.mark.slow
async def test_a_call_right_after_a_kill_waits_for_the_daemon_to_come_back(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, 2) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
    ):
        machine = str((await one.register_machine())["id"])
        async with one.machine_socket(machine) as lost, other.user_socket() as phone:
            await lost.emit("rpc-register", {"method": "m:echo"})
            await lost.next_event("rpc-registered")
            first.kill()
            call = asyncio.create_task(phone.call("rpc-call", {"method": "m:echo"}, timeout=10))
            async with other.machine_socket(machine) as daemon:
                daemon.answer("rpc-request", lambda _: "back")
                await daemon.emit("rpc-register", {"method": "m:echo"})

                assert {"ok": True, "result": "back"} == await call


@pytest.mark.slow
async def test_nobody_is_left_without_what_a_killed_replica_had_stored(tmp_path: Path) -> None:
    """It may be killed between its commit and the announcement: who may lack something starts over."""
    async with (
        cluster(tmp_path, 2) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
        ApiClient.signed_in(second.url) as stranger,
    ):
        session = str((await one.create_session())["id"])
        async with other.user_socket() as phone, stranger.user_socket() as bystander:
            await one.post_messages(session, ["the last"])
            first.kill()
            await until(lambda: phone.closed.is_set() or phone.updates("new-message"))

            assert not bystander.closed.is_set()


@pytest.mark.slow
async def test_a_machine_goes_offline_though_a_killed_replica_still_claims_it(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, 2) as (first, second),
        ApiClient.signed_in(first.url) as one,
        ApiClient(second.url, token=one.token) as other,
    ):
        machine = str((await one.register_machine())["id"])
        async with one.machine_socket(machine):
            first.kill()
            async with other.machine_socket(machine):
                await until_listed(other, active=True)
            await until_listed(other, active=False)


async def until_listed(api: ApiClient, *, active: bool) -> None:
    """The account's only machine is listed like that."""

    async def is_as_expected() -> bool:
        return (await api.get("/v1/machines"))[0]["active"] is active

    await until(is_as_expected)


@pytest.mark.slow
async def test_a_replica_that_was_starting_kept_connections_waiting(tmp_path: Path) -> None:
    async with new_database() as url, Wire(urlsplit(url).port or 5432) as wire:
        user = urlsplit(url).netloc.rpartition("@")[0]
        through = urlsplit(url)._replace(netloc=f"{user}@127.0.0.1:{wire.port}").geturl()
        wire.hold()
        replica = Replica(tmp_path, {"DATABASE_URL": through, "HANDY_MASTER_SECRET": SECRET})
        starting = asyncio.create_task(replica.start())
        try:

            async def waits_for_its_database() -> bool:
                with pytest.raises(ConnectionRefusedError):
                    await asyncio.open_connection("127.0.0.1", replica.port)
                return wire.connections > 0

            await until(waits_for_its_database)
            for _ in range(20):
                assert await waits_for_its_database()
            wire.release()
            await starting
        finally:
            starting.cancel()
            replica.kill()


@pytest.mark.slow
async def test_a_stopped_replica_reports_that_it_is_not_ready_and_exits_in_time(tmp_path: Path) -> None:
    async with (
        cluster(tmp_path, 1, variables={"HAPPY_SHUTDOWN_SECONDS": "6"}) as (replica,),
        ApiClient.signed_in(replica.url) as api,
        api.user_socket() as phone,
    ):
        stopping = asyncio.create_task(replica.stop())

        async def is_not_ready() -> bool:
            return (await api.request("GET", "/health")).status_code == 503

        await until(is_not_ready)
        health = await api.get("/health", expect=503)
        answer = await api.request("GET", "/v1/sessions")  # requests are still answered
        await phone.wait_closed(timeout=5)

        assert "The server is stopping" == health["error"]
        assert (200, "close") == (answer.status_code, answer.headers["connection"])
        assert 0 == await stopping
