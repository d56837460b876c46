"""`happy-server sessions` and `machines`, beside a running server: what is shown of them, and deleted."""

import asyncio
import time
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa

from happy.adapters.flavors import open_store_beside
from happy.domain.announcements import Announcement
from happy.domain.ports.store import Transaction
from happy.domain.values import AccountId, Millis
from schema.tables import announcements, session_messages, sessions
from tests.http.test_accounts import account_id
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.rows import open_rows
from tests.support.server_thread import RunningServer, run_beside, run_server
from tests.support.until import until

SECONDS = 5.0
"""Within which clients are told of what a command has deleted: one, and more on a busy machine."""


async def test_sessions_are_listed_in_pages_the_newest_first(environment: Environment) -> None:
    async with run_beside(environment) as server, ApiClient.signed_in(server.url) as api:
        mine = account_id(api)
        made = [(await api.create_session(metadata="secret"))["id"] for _ in range(3)]
        await api.post_messages(made[0], ["one", "two"])

        first = await command(environment, "sessions", "list", mine, "--limit", "2", "--json")
        rest = await command(environment, "sessions", "list", mine, "--json", "--after", first.json[-1]["id"])
        table = await command(environment, "sessions", "list", mine)
        shown = await command(environment, "sessions", "show", made[0])

    newest_first = sorted(made, reverse=True)
    assert newest_first == [session["id"] for session in first.json + rest.json]
    assert (f"There are more: add --after {newest_first[1]}\n", "") == (first.err, rest.err)
    assert {session["id"]: session["messages"] for session in first.json + rest.json}[made[0]] == 2
    header, *lines = table.out.splitlines()
    assert header.split()[:3] == ["SESSION", "STATE", "MESSAGES"]
    assert newest_first == [line.split()[0] for line in lines]
    assert f"account      {mine}\n" in shown.out
    assert "secret" not in table.out + shown.out


async def test_machines_are_listed_in_pages_the_last_active_first(environment: Environment) -> None:
    async with run_beside(environment) as server, ApiClient.signed_in(server.url) as api:
        mine = account_id(api)
        for name in ("a", "c", "b"):
            await api.register_machine(name)
        owned = [machine["id"] for machine in await api.get("/v1/machines")]

        first = await command(environment, "machines", "list", mine, "--limit", "2", "--json")
        rest = await command(environment, "machines", "list", mine, "--json", "--after", first.json[-1]["id"])
        shown = (await command(environment, "machines", "show", "b", "--json")).json

    assert sorted(owned) == sorted(machine["id"] for machine in first.json + rest.json)
    times = [machine["lastActiveAt"] for machine in first.json + rest.json]
    assert sorted(times, reverse=True) == times
    assert (mine, 0) == (shown["machine"]["accountId"], shown["accessKeys"])


async def deleted(socket: Any, kind: str) -> Any:
    """The body of the next update of this kind."""
    async with asyncio.timeout(SECONDS * 4):
        while True:
            update = (await socket.next_event("update")).payload
            if update["body"]["t"] == kind:
                return update


async def test_open_clients_see_what_a_command_deletes_go(environment: Environment) -> None:
    async with (
        run_beside(environment) as server,
        ApiClient.signed_in(server.url) as api,
        api.user_socket() as phone,
    ):
        gone, kept = (await api.create_session())["id"], (await api.create_session())["id"]
        await api.post_messages(gone, ["one", "two", "three"])
        await api.register_machine("laptop")

        ended = await command(environment, "sessions", "delete", gone, "--yes")
        session = await deleted(phone, "delete-session")
        machine_ended = await command(environment, "machines", "delete", "laptop", "--yes", "--json")
        machine = await deleted(phone, "delete-machine")

        assert (0, "") == (ended.code, ended.err)
        assert "is deleted for ever, with 3 messages." in ended.out
        assert gone == session["body"]["sid"]
        assert {"deleted": "laptop", "account": account_id(api)} == machine_ended.json
        assert "laptop" == machine["body"]["machineId"]
        assert session["seq"] < machine["seq"]
        assert [kept] == [one["id"] for one in (await api.get("/v1/sessions"))["sessions"]]
        assert [] == await api.get("/v1/machines")
        await removed(server, gone)
        actions = [entry["action"] for entry in (await command(environment, "audit", "--json")).json]
    assert ["session.delete", "machine.delete"] == actions


async def removed(server: RunningServer, session_id: str) -> None:
    """Rows and announcements are gone, in the background."""
    async with open_rows(server.settings) as rows:

        async def left() -> bool:
            counts = [
                await rows(sa.select(sa.func.count()).where(condition))
                for condition in (
                    sessions.c.id == session_id,
                    session_messages.c.session_id == session_id,
                    announcements.c.id != "",
                )
            ]
            return counts == [[(0,)]] * 3

        await until(left)


async def test_without_a_server_a_session_is_deleted_and_removed_at_the_next_start(
    environment: Environment,
) -> None:
    with run_server(environment) as server:
        async with ApiClient.signed_in(server.url) as api:
            gone = (await api.create_session())["id"]
    assert 0 == (await command(environment, "sessions", "delete", gone, "--yes")).code
    again = await command(environment, "sessions", "delete", gone, "--yes")
    assert (1, "") == (again.code, again.out)
    assert f"there is no session '{gone}': `happy-server sessions list ACCOUNT` shows them" in again.err

    async with run_beside(environment) as server:
        await removed(server, gone)


@pytest.mark.parametrize("noun", ["sessions", "machines"])
async def test_nothing_is_deleted_unasked(environment: Environment, noun: str) -> None:
    async with run_beside(environment) as server, ApiClient.signed_in(server.url) as api:
        target = (await api.create_session())["id"] if noun == "sessions" else "laptop"
        await api.register_machine("laptop")
        refused = await command(environment, noun, "delete", target)
        kept = await command(environment, noun, "show", target)

    assert (1, 0) == (refused.code, kept.code)
    assert "is deleted for ever" in refused.out
    assert "happy-server: nothing was done: add --yes to do it without a prompt\n" == refused.err


async def _announced(announcement: Announcement, tx: Transaction) -> None:
    await tx.announcements.add(announcement)


async def test_an_announcement_of_a_later_release_is_left_for_it(environment: Environment) -> None:
    async with (
        run_beside(environment) as server,
        ApiClient.signed_in(server.url) as api,
        api.user_socket() as phone,
    ):
        owner, now = AccountId(account_id(api)), Millis(time.time_ns() // 1_000_000)
        async with open_store_beside(server.settings) as store, open_rows(server.settings) as rows:
            for kind in ("planet", "machine"):
                waiting = Announcement(kind, owner, kind, "mars", now)  # type: ignore[arg-type]
                await store.write(partial(_announced, waiting))
            assert "mars" == (await deleted(phone, "delete-machine"))["body"]["machineId"]
            assert [("planet",)] == await rows(sa.select(announcements.c.id))
