"""What is listed as active follows the connections within seconds; a short loss of connection is not seen."""

import pytest
import sqlalchemy as sa

from happy.settings import load
from schema.tables import machines, sessions
from tests.e2e.conftest import Account
from tests.field.presence import (
    grace_has_passed,
    heartbeat,
    inactive_events,
    is_listed_active,
    now,
    until_announced_active,
    until_announced_inactive,
    until_listed,
)
from tests.support.api_client import ApiClient
from tests.support.cluster import Pair
from tests.support.official_client import NodeClient
from tests.support.rows import open_rows
from tests.support.server_process import Server

pytestmark = pytest.mark.asyncio(loop_scope="session")

RECONNECT = {"reconnectionDelay": 3_000, "reconnectionDelayMax": 3_000, "randomizationFactor": 0}
SWEEP_SECONDS = 75.0
"""A start's grace of 30 s, the pause between sweeps, and a busy machine."""


@pytest.mark.slow
async def test_a_machine_whose_daemon_has_gone_is_listed_offline_within_seconds(account: Account) -> None:
    machine = (await account.api.register_machine())["id"]
    async with account.user() as phone:
        async with account.machine(machine) as daemon:
            await daemon.emit("machine-alive", {"machineId": machine, "time": now()})
            await until_listed(account.api, machine, active=True)
        gone = await until_announced_inactive(phone, machine)
        await until_listed(account.api, machine, active=False, seconds=1)
        listed = await account.api.get(f"/v1/machines/{machine}")

    assert gone["activeAt"] == listed["machine"]["activeAt"]


@pytest.mark.slow
async def test_a_machine_that_reconnects_after_three_seconds_never_looks_offline(account: Account) -> None:
    machine = (await account.api.register_machine())["id"]
    daemon = account.machine(machine).with_options(**RECONNECT)
    async with account.user() as phone, daemon:
        await until_announced_active(phone, machine)
        await until_listed(account.api, machine, active=True)
        await daemon.drop()
        await daemon.next_life("disconnect")
        await daemon.next_life("connect")
        await until_announced_active(phone, machine)
        await grace_has_passed(account.api, phone)

        assert await is_listed_active(account.api, machine)
        assert [] == inactive_events(phone, machine)


@pytest.mark.slow
async def test_a_session_whose_process_was_killed_is_listed_inactive_within_seconds(
    account: Account,
) -> None:
    session = (await account.api.create_session())["id"]
    async with account.user() as phone:
        process = account.api.session_socket(session)
        async with process:
            await process.emit("session-alive", heartbeat(session, thinking=True))
            await until_announced_active(phone, session)
            await process.drop()
        gone = await until_announced_inactive(phone, session)
        await until_listed(account.api, session, active=False, seconds=1)
        listed = (await account.api.get("/v1/sessions"))["sessions"][0]

    assert gone["thinking"] is False
    assert gone["activeAt"] == listed["activeAt"]
    assert 1 == len(inactive_events(phone, session))


@pytest.mark.slow
async def test_a_session_that_returns_is_active_at_once(account: Account) -> None:
    """A laptop that slept; its clock may be minutes behind."""
    session = (await account.api.create_session())["id"]
    async with account.user() as phone:
        async with account.session(session) as process:
            await process.emit("session-alive", heartbeat(session))
        await until_announced_inactive(phone, session)
        async with account.session(session) as process:
            late = {**heartbeat(session), "time": now() - 300_000}
            await process.emit("session-alive", late)
            await until_announced_active(phone, session, seconds=2)
            await until_listed(account.api, session, active=True, seconds=3)


@pytest.mark.slow
async def test_a_session_that_reconnects_after_three_seconds_never_looks_ended(account: Account) -> None:
    session = (await account.api.create_session())["id"]
    process = account.session(session).with_options(**RECONNECT)
    async with account.user() as phone, process:
        await process.emit("session-alive", heartbeat(session))
        await process.drop()
        await process.next_life("disconnect")
        await process.next_life("connect")
        await grace_has_passed(account.api, phone)

        assert await is_listed_active(account.api, session)
        assert [] == inactive_events(phone, session)


@pytest.mark.slow
async def test_a_session_that_still_sends_heartbeats_on_another_connection_goes_on(account: Account) -> None:
    """As control-plane tools do."""
    session = (await account.api.create_session())["id"]
    async with account.user() as phone, account.unscoped() as tool:
        async with account.session(session) as process:
            await process.emit("session-alive", heartbeat(session))
            for _ in range(2):
                await tool.emit("session-alive", heartbeat(session))
                await until_announced_active(phone, session)
        await grace_has_passed(account.api, phone)

        assert await is_listed_active(account.api, session)
        assert [] == inactive_events(phone, session)


@pytest.mark.slow
async def test_who_moves_to_another_replica_never_looks_gone_and_ends_with_its_last_connection(
    pair: Pair,
) -> None:
    one, other = pair
    machine, session = (await one.register_machine())["id"], (await one.create_session())["id"]
    async with one.user_socket() as phone, other.user_socket() as tablet:
        async with one.machine_socket(machine), one.session_socket(session) as process:
            await process.emit("session-alive", heartbeat(session))
            await until_announced_active(tablet, session)
        async with other.machine_socket(machine), other.session_socket(session) as process:
            await process.emit("session-alive", heartbeat(session))
            await until_announced_active(phone, session)
            await until_listed(one, machine, active=True)
            await grace_has_passed(one, phone)
            assert [] == inactive_events(phone, machine) + inactive_events(phone, session)
            assert await is_listed_active(one, machine)
            assert await is_listed_active(one, session)
        for target in (machine, session):
            for device in (phone, tablet):
                await until_announced_inactive(device, target)
                assert 1 == len(inactive_events(device, target))
            await until_listed(other, target, active=False, seconds=1)


@pytest.mark.slow
async def test_a_restart_of_the_server_makes_nobody_look_gone_who_comes_back(own_server: Server) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        machine, session = (await api.register_machine())["id"], (await api.create_session())["id"]
        async with api.machine_socket(machine), api.session_socket(session) as process:
            await process.emit("session-alive", heartbeat(session))
            await until_listed(api, machine, active=True)
            await own_server.stop()
        await own_server.start()

        assert await is_listed_active(api, machine)
        assert await is_listed_active(api, session)
        async with (
            api.user_socket() as phone,
            api.machine_socket(machine),
            api.session_socket(session) as process,
        ):
            await process.emit("session-alive", heartbeat(session))
            await grace_has_passed(api, phone)
            assert [] == inactive_events(phone, machine) + inactive_events(phone, session)
            assert await is_listed_active(api, machine)
            assert await is_listed_active(api, session)


@pytest.mark.slow
async def test_clients_of_a_killed_server_that_never_come_back_are_not_listed_active_for_long(
    own_server: Server, client: NodeClient
) -> None:
    """The official client, which reconnects when others notice that a replica was killed."""
    async with ApiClient.signed_in(own_server.url) as api:
        kept, lost = [(await api.register_machine())["id"] for _ in range(2)]
        session = (await api.create_session())["id"]
        async with (
            api.machine_socket(kept),
            api.machine_socket(lost),
            api.session_socket(session) as process,
        ):
            await process.emit("session-alive", heartbeat(session))
            for machine in (kept, lost):
                await until_listed(api, machine, active=True)
            own_server.kill()
        await age(own_server)
        await own_server.start()
        phone = client.socket(own_server.url, token=api.token, clientType="user-scoped")
        daemon = client.socket(own_server.url, token=api.token, clientType="machine-scoped", machineId=kept)
        async with phone, daemon:
            for target in (lost, session):
                await until_listed(api, target, active=False, seconds=SWEEP_SECONDS)
                await until_announced_inactive(phone, target)
            assert [] == inactive_events(phone, kept)
            assert await is_listed_active(api, kept)


async def age(server: Server) -> None:
    """As if the last heartbeats had been stored a minute ago."""
    settings = load({"HOME": str(server.home), **server.variables}, flavor=server.flavor)
    async with open_rows(settings) as rows:
        for table in (sessions, machines):
            await rows(sa.update(table).values(last_active_at=now() - 60_000))
