"""What requests, events and commands have stored in every table comes back on either flavor."""

import asyncio
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from happy.adapters.archive.format import Manifest
from happy.adapters.archive.rows import row_formats
from happy.adapters.backups import verify
from happy.settings import load
from schema.tables import metadata
from tests.e2e.backup_writers import Acknowledged, Writers
from tests.e2e.everything import (
    Seen,
    ask_to_come_in,
    differences,
    everything,
    require_answers,
)
from tests.support.api_client import ApiClient
from tests.support.commands import command
from tests.support.environments import Environment, full_environment, light_environment
from tests.support.every_table import row_of
from tests.support.outside_services import Upstream, everything_at
from tests.support.rows import Rows, open_rows
from tests.support.server_process import Server
from tests.support.services import problem
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

OF_OTHER_SERVERS = ("GithubOrganization", "GlobalLock", "VoiceConversation")
"""No request, event or command of this server writes them: rows as another one has left them."""

BY_COMMANDS = {"happy_AuditEntry", "happy_Backup"}
"""A backup or a restore changes them: they are there, but not the same afterwards."""


class Before(NamedTuple):
    """What people and writers had when the server was backed up, and their tokens."""

    ids: dict[str, str]
    file: str
    seen: Seen
    tokens: list[str]
    writer: str
    changed: str
    acknowledged: tuple[Acknowledged, Acknowledged]
    """Before and after the backup."""


async def insert_rows_of_other_servers(rows: Rows, account: str) -> None:
    for table in row_formats():
        if table.name in OF_OTHER_SERVERS:
            columns = metadata.tables[table.name].columns
            values = {column.key: value for column, value in zip(columns, row_of(table), strict=True)}
            if "account_id" in values:
                values["account_id"] = account
            await rows(sa.insert(metadata.tables[table.name]).values(values))


async def empty_tables(rows: Rows) -> set[str]:
    return {
        name
        for name, table in metadata.tables.items()
        if not (await rows(sa.select(sa.func.count()).select_from(table)))[0][0]
    }


def others(request: pytest.FixtureRequest, folder: Path) -> list[AbstractContextManager[Environment]]:
    """A new environment of each flavor that can be had."""
    found: list[AbstractContextManager[Environment]] = [nullcontext(light_environment(folder / "light"))]
    if problem() is None:
        found.append(full_environment(folder / "full", request.getfixturevalue("postgres_template")))
    return found


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    with Upstream() as running:
        yield running


async def test_everything_that_was_stored_comes_back_on_either_flavor(
    environment: Environment, upstream: Upstream, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    archive, stopped = tmp_path / "beside-writers", tmp_path / "stopped"
    server = Server(tmp_path / "home", flavor=environment.flavor, variables=environment.variables)
    outside = {**everything_at(upstream), "PUBLIC_URL": server.url}
    environment.variables.update(outside)
    environment.variables.update({"HAPPY_BACKUP_DIR": str(tmp_path / "own"), "HAPPY_BACKUP_EVERY": "20s"})
    server.variables.update(environment.variables)
    await ask_to_come_in(server, environment)
    before = await fill_and_back_up(server, environment, upstream, archive)
    manifest = await back_up_every_table(server, environment, stopped)
    for other in others(request, tmp_path):
        with other as restored:
            await require_tables(restored, stopped, manifest, tmp_path / "again")
    for other in others(request, tmp_path / "online"):
        with other as restored:
            assert 0 == (await command(restored, "verify", str(archive), "--deep")).code
            assert 0 == (await command(restored, "restore", str(archive))).code
            variables = {**outside, **restored.variables}
            home = tmp_path / f"other-{restored.flavor}"
            async with Server(home, flavor=restored.flavor, variables=variables, port=server.port):
                await require_as_before(server.url, before, same_flavor=restored.flavor == environment.flavor)


async def fill_and_back_up(
    server: Server, environment: Environment, upstream: Upstream, archive: Path
) -> Before:
    """The backup is made while eight writers go on."""
    async with (
        server,
        everything(server.url) as people,
        ApiClient.signed_in(server.url) as busy,
    ):
        await people.fill(upstream, environment)
        seen = await people.seen()
        require_answers(seen)
        writers = Writers(busy)
        async with writers.running():
            await until(lambda: writers.are_busy)
            earlier = writers.acknowledged()
            assert 0 == (await command(environment, "backup", str(archive))).code
            assert "database.backup" in (await command(environment, "audit", "--json")).out
        assert seen == await people.seen()
        await until(lambda: "backup made" in server.log_text(), 90)
        assert 0 == await server.stop()
    tokens = [str(client.token) for client in (people.ada, people.bob, busy)]
    return Before(
        ids=people.ids,
        file=people.person.file,
        seen=seen,
        tokens=tokens[:2],
        writer=tokens[2],
        changed=writers.changed,
        acknowledged=(earlier, writers.acknowledged()),
    )


async def require_as_before(url: str, before: Before, *, same_flavor: bool) -> None:
    """Every object to the last byte, every acknowledged write; and it goes on."""
    async with everything(url, before.tokens) as people, ApiClient(url, token=before.writer) as busy:
        people.ids = before.ids
        people.person.session, people.person.file = before.ids["session_id"], before.file
        seen = await people.seen()
        assert [] == differences(before.seen, seen, same_flavor=same_flavor)
        earlier, later = before.acknowledged
        await earlier.require_in(busy, before.changed, later)
        (message,) = await people.ada.post_messages(before.ids["session_id"], ["goes on"])
        assert len(await people.ada.messages(before.ids["session_id"])) == message["seq"]


async def back_up_every_table(server: Server, environment: Environment, archive: Path) -> Manifest:
    """Without a server, so that what commands announce to servers is in it, too."""
    settings = load(environment.variables, flavor=environment.flavor)
    async with server, ApiClient.signed_in(server.url) as api:
        doomed = (await api.create_session())["id"]
        account = (await api.get("/v1/account/profile"))["id"]
        assert 0 == await server.stop()
    assert 0 == (await command(environment, "sessions", "delete", doomed, "--yes")).code
    async with open_rows(settings) as rows:
        assert set(OF_OTHER_SERVERS) == await empty_tables(rows)
        await insert_rows_of_other_servers(rows, account)
    assert 0 == (await command(environment, "backup", str(archive))).code
    _, manifest = await asyncio.to_thread(verify, archive)
    assert [] == [name for name, table in manifest.tables.items() if not table.rows]
    return manifest


async def require_tables(environment: Environment, archive: Path, manifest: Manifest, again: Path) -> None:
    ended = await command(environment, "restore", str(archive))
    assert 0 == ended.code, ended
    assert "database.restore" in (await command(environment, "audit", "--json")).out
    assert 0 == (await command(environment, "backup", str(again))).code
    _, found = await asyncio.to_thread(verify, again)
    await asyncio.to_thread(again.unlink)
    assert [] == [
        name
        for name, table in manifest.tables.items()
        if name not in BY_COMMANDS and table != found.tables[name]
    ]
