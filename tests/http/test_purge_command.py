"""`happy-server purge`: what is old goes, beside a running server, and nothing else."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from happy.services import purge
from schema.tables import sessions, terminal_auth_requests
from tests.http.test_accounts import account_id
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.rows import Rows, open_rows
from tests.support.server_thread import RunningServer, run_beside, run_server

DAY = 24 * 3_600_000
LONG_AGO = 1_700_000_000_000
NOTHING = {"bytes": None, "messages": None}


async def make_old(rows: Rows, session_id: str) -> None:
    row = sessions.c.id == session_id
    await rows(
        sa.update(sessions).where(row).values(active=False, last_active_at=LONG_AGO, updated_at=LONG_AGO)
    )


async def add_request(rows: Rows) -> None:
    row = {"id": "request", "public_key": "A" * 64, "supports_v2": False}
    await rows(sa.insert(terminal_auth_requests).values(**row, created_at=LONG_AGO, updated_at=LONG_AGO))


def counts(found: Any) -> dict[str, int]:
    return {one["kind"]: one["count"] for one in found["found"] if one["count"]}


async def listed(api: ApiClient) -> set[str]:
    return {session["id"] for session in (await api.get("/v1/sessions"))["sessions"]}


async def test_purge_counts_what_is_old_and_removes_it_only_when_told_to(environment: Environment) -> None:
    async with (
        run_beside(environment) as server,
        ApiClient.signed_in(server.url) as api,
        api.user_socket() as phone,
        open_rows(server.settings) as rows,
    ):
        old, new = (await api.create_session())["id"], (await api.create_session())["id"]
        await api.post_messages(old, ["one", "two"])
        await make_old(rows, old)

        asked = await command(environment, "purge", "--inactive-days", "30", "--json")
        kept = await listed(api)
        done = await command(environment, "purge", "--inactive-days", "30", "--yes")
        update = await phone.next_event("update")
        while update.payload["body"]["t"] != "delete-session":
            update = await phone.next_event("update")
        left = await listed(api)
        again = await command(environment, "purge", "--inactive-days", "30")
        entries = (await command(environment, "audit", "--json")).json

    assert ({"sessions inactive for 30 days": 1}, {old, new}) == (counts(asked.json), kept)
    assert not asked.json["removed"]
    assert "1 with 2 messages" in done.out
    assert "All of it is removed.\n" in done.out
    assert (old, {new}) == (update.payload["body"]["sid"], left)
    assert "There is nothing to remove.\n" in again.out
    assert [("server.purge", "leftovers, sessions inactive for 30 days")] == [
        (entry["action"], entry["subject"]) for entry in entries
    ]


async def test_purge_goes_on_behind_each_page_of_sessions(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purge, "PAGE", 2)
    async with (
        run_beside(environment) as server,
        ApiClient.signed_in(server.url) as api,
        open_rows(server.settings) as rows,
    ):
        every = sorted([(await api.create_session())["id"] for _ in range(6)])
        for old in every:
            await make_old(rows, old)
        kept = every[2]
        await rows(sa.update(sessions).where(sessions.c.id == kept).values(active=True))

        done = await command(environment, "purge", "--inactive-days", "30", "--yes", "--json")
        left = await listed(api)

    assert ({"sessions inactive for 30 days": 5}, {kept}) == (counts(done.json), left)


async def test_purge_finishes_what_a_stopped_server_left(environment: Environment) -> None:
    with run_server(environment) as server:
        async with ApiClient.signed_in(server.url) as api:
            gone = (await api.create_session())["id"]
    async with open_rows(server.settings) as rows:
        await command(environment, "sessions", "delete", gone, "--yes")
        await add_request(rows)

        found = counts((await command(environment, "purge", "--json")).json)
        ended = await command(environment, "purge", "--yes", "--json")
        left = [await rows(sa.select(table.c.id)) for table in (sessions, terminal_auth_requests)]

    assert {"expired linking requests": 1, "unfinished deletions": 1} == found
    assert (found, True) == (counts(ended.json), ended.json["removed"])
    assert [[], []] == left


async def write(server: RunningServer, *keys: str) -> list[Path]:
    def write_all() -> list[Path]:
        files = [server.files / key for key in keys]
        for file in files:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"1234")
        return files

    return await asyncio.to_thread(write_all)


def there(files: list[Path]) -> list[bool]:
    return [file.exists() for file in files]


async def test_purge_removes_files_of_nobody_and_no_others(environment: Environment) -> None:
    async with run_beside(environment) as server, ApiClient.signed_in(server.url) as api:
        session, owner = (await api.create_session())["id"], account_id(api)
        files = await write(
            server,
            f"sessions/{session}/attachments/a",
            f"public/users/{owner}/avatars/a",
            "sessions/nobody/attachments/a",
            "sessions/nobody/attachments/b",
            "public/users/nobody/avatars/a",
            "notes/of-somebody-else",
        )
        without = (await command(environment, "purge", "--json")).json
        found = (await command(environment, "purge", "--json", "--files")).json
        await command(environment, "purge", "--files", "--yes")

    assert {} == counts(without)
    assert {"kind": "files without a session or account", "count": 3, "bytes": 12, "messages": None} == found[
        "found"
    ][-1]
    assert [True, True, False, False, False, True] == there(files)


async def test_purge_refuses_a_store_in_which_nothing_is_of_this_database(environment: Environment) -> None:
    async with run_beside(environment) as server:
        files = await write(server, "sessions/theirs/attachments/a", "public/users/theirs/avatars/a")
        refused = await command(environment, "purge", "--files", "--yes")

    assert (1, [True, True]) == (refused.code, there(files))
    assert "nothing of the 2 files in the store belongs to this database" in refused.err
