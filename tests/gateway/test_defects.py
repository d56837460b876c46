"""What was wrong with the reference server, by the rows of docs/defects.md, and is not wrong here."""

import asyncio
import logging
from contextlib import AsyncExitStack
from typing import Any

import pytest
import sqlalchemy as sa

from happy.adapters.sql.accounts import SqlAccounts
from happy.domain.errors import Unavailable
from happy.services.rpc import GRACE_SECONDS
from schema.tables import machines, sessions
from tests.gateway.harness import MINUTE, now, register, settle, stored_session, unread
from tests.support.api_client import ApiClient
from tests.support.environments import Environment
from tests.support.rows import open_rows
from tests.support.server_thread import RunningServer, run_beside, run_server
from tests.support.socket_client import ConnectRefused, SocketClient

# -- A: availability ---------------------------------------------------------------------------------------


async def test_a1_a_call_of_a_method_that_is_a_number_ended_the_process(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        answer = await phone.call("rpc-call", {"method": 5})

    assert {"ok": False, "error": "Invalid parameters: method is required"} == answer


@pytest.mark.parametrize(
    "event",
    ["update-metadata", "update-state", "machine-update-metadata", "machine-update-state", "rpc-call"],
)
async def test_a2_a_string_instead_of_the_ack_callback_ended_the_process(api: ApiClient, event: str) -> None:
    async with api.user_socket() as phone:
        await phone.emit(event, {}, "x")
        await phone.emit(event, {}, {"call": "me"}, None)

        assert [] == await unread(phone)


@pytest.mark.parametrize("client", [5, True, {}, ["cli"], {"a": None}])
async def test_a3_a_client_name_that_is_no_text_ended_the_process(api: ApiClient, client: Any) -> None:
    async with SocketClient(api.url, {"token": api.token, "happyClient": client}) as socket:
        assert [] == await unread(socket)


async def test_a4_an_update_that_could_not_be_numbered_ended_the_process(
    api: ApiClient, sid: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object) -> int:
        raise Unavailable

    payload = {"sid": sid, "agentState": "new", "expectedVersion": 0}
    async with api.user_socket() as phone:
        with monkeypatch.context() as broken:
            broken.setattr(SqlAccounts, "next_seq", unavailable)
            failed = await phone.call("update-state", payload)
        again = await phone.call("update-state", payload)

    assert {"result": "error"} == failed
    assert {"result": "success", "version": 1, "agentState": "new"} == again


async def test_a5_the_process_never_ended(environment: Environment) -> None:
    def live_and_end() -> None:
        with run_server(environment):
            pass

    await asyncio.wait_for(asyncio.to_thread(live_and_end), 30)


async def test_a6_the_last_heartbeats_were_lost_because_the_database_was_closed_first(
    environment: Environment,
) -> None:
    async with AsyncExitStack() as clients:
        async with run_beside(environment) as server:
            api = await clients.enter_async_context(ApiClient.signed_in(server.url))
            machine = (await api.register_machine())["id"]
            daemon = await clients.enter_async_context(api.machine_socket(machine))
            at = now()
            await daemon.emit("machine-alive", {"machineId": machine, "time": at})
            await settle(daemon)
        await daemon.wait_closed()

    assert (
        not daemon.disconnected_by_server
    )  # protocol: clients#rules-a-server-must-respect: that would stop its reconnection for good
    async with open_rows(server.settings) as rows:
        ((active, seen),) = await rows(sa.select(machines.c.active, machines.c.last_active_at))

    assert (True, True) == (active, at - MINUTE < seen <= at)


async def test_a12_a_message_of_more_than_a_megabyte_cost_the_connection(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as session, api.user_socket() as phone:
        await session.emit("message", {"sid": sid, "message": "x" * 2_000_000})
        received = await phone.next_update("new-message")

        assert 2_000_000 == len(received["message"]["content"]["c"])
        assert 16_000_000 <= session.open_packet["maxPayload"]
        assert [] == await unread(session)


# -- B: security -------------------------------------------------------------------------------------------


async def test_b5_another_account_could_suppress_heartbeats_of_a_session(
    api: ApiClient, stranger: ApiClient, sid: str
) -> None:
    await stranger.post(f"/v1/sessions/{sid}/archive", expect=404)
    await stranger.delete(f"/v1/sessions/{sid}", expect=404)
    async with stranger.session_socket(sid) as thief, api.user_socket() as phone:
        await thief.emit("session-end", {"sid": sid, "time": now()})
        await settle(thief)
        await phone.emit("session-alive", {"sid": sid, "time": now()})

        assert (await phone.next_ephemeral())["active"]


async def test_b9_credentials_were_logged(api: ApiClient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert api.token is not None
    secrets = [api.token, "TopSecretToken", "TopSecretText", "TopSecretMethod"]
    with pytest.raises(ConnectRefused):
        await SocketClient.open(api.url, token="TopSecretToken").connect()
    async with api.user_socket(happy_client="TopSecretText") as phone:
        for event in ("update-state", "message", "rpc-call", "rpc-register", "unknown"):
            await phone.emit(event, {"sid": "TopSecretText", "message": "TopSecretText", "method": 5})
        await phone.emit("rpc-register", {"method": "TopSecretMethod"})
        await settle(phone)
        await phone.send_raw('42["message",{"sid":"TopSecretText"')
        await phone.wait_closed()
    logged = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("happy"))

    assert "connection" in logged  # what happened is there
    assert [] == [secret for secret in secrets if secret[:20] in logged]


async def test_b14_any_device_could_take_over_a_machines_connection(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as rogue, api.user_socket() as phone:
        daemon.answer("rpc-request", lambda _: "daemon")
        rogue.answer("rpc-request", lambda _: "rogue")
        await register(daemon, "m")
        await register(rogue, "m")

        assert "daemon" == (await phone.call("rpc-call", {"method": "m"}))["result"]


async def test_b15_an_invented_machine_was_shown(api: ApiClient, stranger: ApiClient) -> None:
    foreign = (await stranger.register_machine())["id"]
    async with api.user_socket() as phone, stranger.user_socket() as owner:
        for invented in ("invented", foreign):
            async with api.machine_socket(invented) as daemon:
                await daemon.emit("machine-alive", {"machineId": invented, "time": now()})
                await settle(daemon)

        assert [] == await unread(phone, owner)


# -- C: messages, sequences, versions ----------------------------------------------------------------------


async def test_c1_no_message_was_acknowledged(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as session:
        sent = [
            await session.call("message", {"sid": sid, "message": "m", "localId": local})
            for local in ("a", "a", None)
        ]
        refused = [
            await session.call("message", {"sid": "unknown", "message": "m"}),
            await session.call("message", {"sid": sid, "message": 5}),
            await session.call("message", None),
        ]
    stored = await api.messages(sid)

    first, last = ({name: row[name] for name in ("id", "seq", "localId")} for row in stored)
    assert [{"ok": True, **first}, {"ok": True, **first}, {"ok": True, **last}] == sent
    assert ["Session not found", "Invalid parameters", "Invalid parameters"] == [
        answer["error"] for answer in refused if answer["ok"] is False
    ]


async def test_c2_a_duplicate_burnt_a_number_of_the_session_and_one_of_the_account(
    api: ApiClient, sid: str
) -> None:
    async with api.session_socket(sid) as session, api.user_socket() as phone:
        for local in ("a", "a", "a", "b"):
            await session.emit("message", {"sid": sid, "message": local, "localId": local})
        await settle(session, phone)
        received = [event.payload for event in phone.events]

    assert [(2, 1, "a"), (3, 2, "b")] == [
        (update["seq"], update["body"]["message"]["seq"], update["body"]["message"]["localId"])
        for update in received
    ]


async def test_c3_a_reader_could_miss_a_message_for_ever(api: ApiClient, sid: str) -> None:
    async def write(name: str) -> None:
        async with api.session_socket(sid) as session:
            for number in range(30):
                await session.emit("message", {"sid": sid, "message": f"{name}-{number}"})
                await asyncio.sleep(0)
            await settle(session)

    async def read() -> list[int]:
        seen: list[int] = []
        while len(seen) < 120:
            page = await api.get(f"/v3/sessions/{sid}/messages", after_seq=seen[-1] if seen else 0, limit=7)
            seen += [message["seq"] for message in page["messages"]]
        return seen

    reading = asyncio.create_task(read())
    await asyncio.gather(*(write(name) for name in "abcd"))

    assert list(range(1, 121)) == await asyncio.wait_for(reading, 30)


async def test_c4_the_second_message_with_an_empty_local_id_was_lost(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as session:
        for _ in range(2):
            await session.emit("message", {"sid": sid, "message": "m", "localId": ""})
        await settle(session)

    assert [(1, None), (2, None)] == [(row["seq"], row["localId"]) for row in await api.messages(sid)]


async def test_c5_a_message_that_is_no_text_was_stored(api: ApiClient, sid: str) -> None:
    async with api.session_socket(sid) as session, api.user_socket() as phone:
        for odd in (5, True, None, {"c": "x"}, ["x"]):
            await session.emit("message", {"sid": sid, "message": odd})

        assert [] == await unread(session, phone)
    assert [] == await api.messages(sid)


async def test_c8_an_update_of_an_unknown_session_was_never_answered(api: ApiClient) -> None:
    async with api.user_socket() as phone:
        payload = {"sid": "unknown", "metadata": "m", "expectedVersion": 0}

        assert {"result": "error"} == await phone.call("update-metadata", payload)


async def test_c9_the_loser_of_a_race_got_its_own_value_back(api: ApiClient, sid: str) -> None:
    async with api.user_socket() as one, api.user_socket() as other:
        answers = await asyncio.gather(
            *(
                socket.call("update-metadata", {"sid": sid, "metadata": name, "expectedVersion": 0})
                for socket, name in ((one, "one"), (other, "other"))
            )
        )
    (won,) = [answer for answer in answers if answer["result"] == "success"]
    (lost,) = [answer for answer in answers if answer["result"] == "version-mismatch"]

    assert (1, won["metadata"]) == (lost["version"], lost["metadata"])


@pytest.mark.parametrize(
    ("sent", "shown"),
    [("yes", True), (1, True), ({"a": 1}, True), (0, False), ("", False), (None, False), (True, True)],
)
async def test_c20_thinking_was_passed_on_as_it_came(
    api: ApiClient, sid: str, sent: Any, shown: bool
) -> None:
    async with api.user_socket() as phone:
        await phone.emit("session-alive", {"sid": sid, "time": now(), "thinking": sent})

        assert shown is (await phone.next_ephemeral())["thinking"]


# -- E: presence and calls ---------------------------------------------------------------------------------


async def test_e1_a_restarted_session_stayed_inactive(environment: Environment) -> None:
    async with (
        AsyncExitStack() as clients,
        run_beside(environment) as server,
    ):  # which ends before its clients
        api = await clients.enter_async_context(ApiClient.signed_in(server.url))
        sid = (await api.create_session("tag"))["id"]
        await api.post(f"/v1/sessions/{sid}/archive")
        stopped = await stored_session(api, sid)
        await api.create_session("tag")
        session = await clients.enter_async_context(api.session_socket(sid))
        await session.emit("session-alive", {"sid": sid, "time": max(now(), stopped["activeAt"] + 1)})
        await asyncio.sleep(0.01)  # the clock must have moved on since the session was archived
        await session.emit("session-alive", {"sid": sid, "time": now()})
        await settle(session)
    async with open_rows(server.settings) as rows:
        ((active,),) = await rows(sa.select(sessions.c.active))

    assert (False, True) == (stopped["active"], active)


@pytest.mark.parametrize("behind", [11 * MINUTE, 10**12, 10**18])
async def test_e3_a_client_whose_clock_is_slow_was_never_shown(api: ApiClient, sid: str, behind: int) -> None:
    async with api.user_socket() as phone:
        before = now()
        await phone.emit("session-alive", {"sid": sid, "time": before - behind})

        assert before <= (await phone.next_ephemeral())["activeAt"] <= now()


@pytest.mark.parametrize("politely", [True, False])
async def test_e7_closing_the_first_of_several_connections_ended_the_machine(
    hasty_server: RunningServer, politely: bool
) -> None:
    async with ApiClient.signed_in(hasty_server.url) as api, api.user_socket() as phone:
        mid = (await api.register_machine())["id"]
        old = api.machine_socket(mid)
        await old.connect()
        await register(old, "m")
        async with api.machine_socket(mid) as new:  # the daemon is back before its old connection ends
            await unread(phone)
            await (old.close() if politely else old.drop())
            while (await phone.call("rpc-call", {"method": "m"}))["error"] != "RPC method not available":
                await settle(new)
            assert [] == await unread(phone)
        assert not (await phone.next_ephemeral("machine-activity"))["active"]


async def test_e9_a_deleted_machine_went_on_being_announced(api: ApiClient, mid: str) -> None:
    async with api.user_socket() as phone:
        async with api.machine_socket(mid) as daemon:
            await daemon.emit("machine-alive", {"machineId": mid, "time": now()})
            await settle(daemon)
            await api.delete(f"/v1/machines/{mid}")
            await unread(phone)
            await daemon.emit("machine-alive", {"machineId": mid, "time": now()})
            await settle(daemon)

        assert [] == await unread(phone)


async def test_e13_the_oldest_registration_was_called_half_open_as_it_was(api: ApiClient, mid: str) -> None:
    async with (
        api.machine_socket(mid) as stale,
        api.machine_socket(mid) as fresh,
        api.user_socket() as phone,
    ):
        await register(stale, "m")  # and it will never answer
        fresh.answer("rpc-request", lambda _: "fresh")
        await register(fresh, "m")

        assert {"ok": True, "result": "fresh"} == await phone.call("rpc-call", {"method": "m"})


async def test_e14_a_call_failed_because_its_caller_served_the_method_too(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.machine_socket(mid) as caller:
        daemon.answer("rpc-request", lambda _: "daemon")
        await register(daemon, "m")
        await register(caller, "m")

        assert {"ok": True, "result": "daemon"} == await caller.call("rpc-call", {"method": "m"})


async def test_e15_registering_anew_during_a_call_lost_its_result(api: ApiClient, mid: str) -> None:
    async with api.machine_socket(mid) as daemon, api.user_socket() as phone:
        await register(daemon, "m")
        calling = asyncio.create_task(phone.call("rpc-call", {"method": "m"}))
        await daemon.next_event("rpc-request")
        await daemon.emit("rpc-unregister", {"method": "m"})
        await settle(daemon, phone)
        await register(daemon, "m")
        await daemon.send_raw('431["done"]')

        assert {"ok": True, "result": "done"} == await calling


async def test_e16_an_unknown_method_keeps_its_grace(hasty_server: RunningServer) -> None:
    async with ApiClient.signed_in(hasty_server.url) as api, api.user_socket() as phone:
        answer = await phone.call("rpc-call", {"method": "unknown"})

    assert {"ok": False, "error": "RPC method not available"} == answer
    assert 15.0 == GRACE_SECONDS  # daemons that reconnect rely on it
