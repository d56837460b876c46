"""A backup has the rows of every table: those that traffic fills, and those that only other servers do."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from happy.adapters.archive.format import Manifest
from happy.adapters.archive.rows import RowFormat, row_formats
from happy.adapters.backups import verify
from happy.settings import load
from schema.tables import metadata
from tests.e2e.test_backup import Person
from tests.support.api_client import ApiClient, b64
from tests.support.commands import command
from tests.support.environments import (
    Environment,
    full_environment,
    light_environment,
)
from tests.support.every_table import row_of
from tests.support.rows import Rows, open_rows
from tests.support.server_process import Server
from tests.support.until import until

pytestmark = pytest.mark.slow

UNUSED = {"GithubOrganization", "GlobalLock", "RepeatKey", "SimpleCache", "VoiceConversation"}
"""Of other servers: no request writes them here."""

OUTSIDE = {
    "GithubUser",
    "UploadedFile",
    "happy_RegistrationRequest",
    "happy_InviteOpening",
    "happy_Announcement",
}
"""Need another company's service, another mode of registration, or are gone a moment later."""

BY_COMMANDS = {"happy_AuditEntry", "happy_Backup"}
"""A backup or a restore changes them: they are there, but not the same afterwards."""


async def fill(server: Server, rows: Rows, environment: Environment) -> None:
    """Two people with something of everything, and what commands and the server itself write."""
    async with ApiClient.signed_in(server.url) as api, ApiClient.signed_in(server.url) as friend:
        person = Person(api)
        await person.fill()
        for path in ("/v1/auth/request", "/v1/auth/account/request"):
            await api.post(path, {"publicKey": b64(b"a new device's public key, 32 by")})
        ids = [(await each.get("/v1/account/profile"))["id"] for each in (api, friend)]
        await api.post("/v1/friends/add", {"uid": ids[1]})
        await friend.post("/v1/friends/add", {"uid": ids[0]})
        async with api.user_socket() as phone:
            report = {"key": "one", "sessionId": person.session, "tokens": {"total": 1}, "cost": {"total": 1}}
            assert (await phone.call("usage-report", report))["success"]
    assert 0 == (await command(environment, "invites", "create")).code
    assert 0 == (await command(environment, "accounts", "sign-out", ids[1], "--yes")).code
    ((invite,),) = await rows(sa.select(metadata.tables["happy_Invite"].c.id))
    for table in row_formats():
        if table.name in UNUSED | OUTSIDE:
            await insert(rows, table, {"accountId": ids[0], "inviteId": invite})


async def insert(rows: Rows, table: RowFormat, known: dict[str, str]) -> None:
    columns = metadata.tables[table.name].columns
    values = {column.key: value for column, value in zip(columns, row_of(table), strict=True)}
    values |= {column.key: known[column.name] for column in columns if column.name in known}
    await rows(sa.insert(metadata.tables[table.name]).values(values))


def counts(manifest: Manifest) -> dict[str, int]:
    return {name: table.rows for name, table in manifest.tables.items()}


async def filled(rows: Rows) -> set[str]:
    """The tables that have a row."""
    return {
        name
        for name, table in metadata.tables.items()
        if (await rows(sa.select(sa.func.count()).select_from(table)))[0][0]
    }


@pytest.mark.timeout(300)
async def test_every_table_comes_back_on_either_flavor(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    own = {"HAPPY_BACKUP_DIR": str(tmp_path / "own"), "HAPPY_BACKUP_EVERY": "3s"}
    archive = tmp_path / "backup.tar.zst"
    server = Server(tmp_path / "home", flavor=environment.flavor, variables={**environment.variables, **own})
    environment.variables["PUBLIC_URL"] = server.url  # for invites
    settings = load(environment.variables, flavor=environment.flavor)
    async with server, open_rows(settings) as rows:
        await fill(server, rows, environment)

        async def lacking() -> set[str]:
            return metadata.tables.keys() - await filled(rows)

        await until(
            lambda: none(lacking()), 60, "a row of every table: fill() has to make one of a new table"
        )
        assert 0 == await server.stop()
    assert 0 == (await command(environment, "backup", str(archive))).code
    _, manifest = await asyncio.to_thread(verify, archive)

    assert [] == [name for name, count in counts(manifest).items() if not count]
    for other in others(request, tmp_path):
        with other as restored:
            ended = await command(restored, "restore", str(archive))
            assert 0 == ended.code, ended
            assert 0 == (await command(restored, "backup", str(tmp_path / "again"))).code
            _, again = await asyncio.to_thread(verify, tmp_path / "again")
            (tmp_path / "again").unlink()
        assert [] == [
            name
            for name, table in manifest.tables.items()
            if name not in BY_COMMANDS and table != again.tables[name]
        ]


async def none(found: Any) -> bool:
    return not await found


def others(request: pytest.FixtureRequest, folder: Path) -> Any:
    """A new environment of each flavor that can be had."""
    from contextlib import nullcontext

    from tests.support.services import problem

    yield nullcontext(light_environment(folder / "light"))
    if problem() is None:
        yield full_environment(folder / "full", request.getfixturevalue("postgres_template"))
