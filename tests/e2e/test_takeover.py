"""Two replicas that start at the same moment on the database of another server of this protocol."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from happy import crypto
from schema.revisions import HEAD
from tests.contract import existing_account as account
from tests.contract.existing_postgres import build, contents, definitions
from tests.support.api_client import ApiClient
from tests.support.cluster import Replica
from tests.support.databases import new_database
from tests.support.server_process import REPOSITORY, free_port
from tests.support.services import REDIS

pytestmark = pytest.mark.services
COMMAND = "run `happy-server migrate`"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    async with new_database(migrated=False) as made:
        yield made


def variables(url: str) -> dict[str, str]:
    return {"DATABASE_URL": url, "REDIS_URL": REDIS, "HANDY_MASTER_SECRET": account.SECRET}


async def everything(api: ApiClient) -> dict[str, Any]:
    found = {path: await api.get(path) for path in account.expected()}
    for item in found["/v1/machines"]:
        item.setdefault("seq", 0)
    return found


@pytest.mark.slow
async def test_two_replicas_at_once_take_it_over_and_every_object_is_there(url: str, tmp_path: Path) -> None:
    await build(url)
    await account.fill(url)
    rows, defined = await contents(url), await definitions(url)
    replicas = [Replica(tmp_path / f"replica-{number}", variables(url)) for number in range(2)]
    token = crypto.derive(account.SECRET).tokens.issue(account.ME, int(time.time()))
    try:
        await asyncio.gather(*(replica.start() for replica in replicas))
        for replica in replicas:
            async with ApiClient(replica.url, token=token) as api:
                assert account.expected() == await everything(api)
                await profile_is_right(api)
                await messages_are_right(api)
    finally:
        for replica in replicas:
            replica.kill()

    after = await contents(url)
    assert [(HEAD,)] == after["alembic_version"]
    assert rows["_migrations"] == after["_migrations"]
    # Those of one row each were left active, and have been silent for years. The secret is known from now on.
    assert 1 == len(after["SimpleCache"]) - len(rows["SimpleCache"])
    assert rows.keys() - {"Session", "Machine", "SimpleCache"} == {
        name for name in rows if rows[name] == after[name]
    }
    assert defined <= await definitions(url)


async def profile_is_right(api: ApiClient) -> None:
    profile = await api.get("/v1/account/profile")
    assert {"id": account.ME, "github": account.GITHUB, "connectedServices": ["anthropic"]}.items() <= (
        profile.items()
    )
    assert account.AVATAR.items() <= profile["avatar"].items()
    usage = await api.post("/v1/usage/query", {"sessionId": account.SESSION})
    assert account.USAGE.items() <= usage["usage"][0].items()


async def messages_are_right(api: ApiClient) -> None:
    """Page by page, compared with what was written, to the byte."""
    rows = [account.message(seq) for seq in range(1, account.MESSAGES + 1)]
    wanted = [
        {
            name: value
            for name, value in {**row, "content": json.loads(row["content"])}.items()
            if name != "sessionId"
        }
        for row in rows
    ]
    assert wanted == await api.messages(account.SESSION, limit=100)
    latest = await api.get(f"/v3/sessions/{account.SESSION}/messages", before_seq=2_147_483_647)
    assert wanted[:-101:-1] == latest["messages"]


async def refused(url: str) -> str:
    """The only line of a server that must not start."""
    environ = {
        "PATH": os.environ["PATH"],
        "PORT": str(free_port()),
        "METRICS_ENABLED": "false",
        **variables(url),
    }
    command = [sys.executable, "-m", "happy", "serve", "--flavor", "full"]
    ended = await asyncio.to_thread(
        subprocess.run,
        command,
        cwd=REPOSITORY,
        env=environ,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert 1 == ended.returncode, ended.stdout
    assert 1 == ended.stderr.count("\n"), ended.stderr
    return ended.stderr


async def test_an_empty_or_an_older_database_is_refused_with_the_command_that_helps(url: str) -> None:
    assert COMMAND in await refused(url)
    assert {} == await contents(url)
    await build(
        url, "CREATE TABLE alembic_version (version_num TEXT)", "INSERT INTO alembic_version VALUES ('0001')"
    )
    defined = await definitions(url)

    assert COMMAND in await refused(url)
    assert defined == await definitions(url)


async def test_one_that_does_not_fit_is_named_and_left_alone(url: str) -> None:
    await build(url, 'ALTER TABLE "Session" ALTER metadata DROP NOT NULL')
    defined = await definitions(url)

    assert 'table "Session": column "metadata" must be NOT NULL' in await refused(url)
    assert defined == await definitions(url)


async def test_a_database_user_without_rights_to_migrate_gets_the_command_for_one_with_them(url: str) -> None:
    await build(url)
    name = urlsplit(url).path.strip("/")
    role = f"{name}_reader"
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'")
        await connection.execute(f"GRANT ALL ON ALL TABLES IN SCHEMA public TO {role}")
        parts = urlsplit(url)
        theirs = parts._replace(netloc=f"{role}:x@{parts.hostname}:{parts.port or 5432}").geturl()
        said = await refused(theirs)
    finally:
        await connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
        await connection.close()

    assert "no right to change the database" in said
    assert COMMAND in said
    assert "alembic_version" not in await contents(url)


OPENING = """
import asyncio, os, sys
from happy.adapters import full
from happy.settings import load

async def main():
    async with full.open_checked_store(load(os.environ, flavor="full")):
        print({"sqlalchemy", "alembic"} & set(sys.modules))

asyncio.run(main())
"""


async def test_a_database_that_is_up_to_date_costs_no_migration_tools() -> None:
    async with new_database() as url:
        environ = {"PATH": os.environ["PATH"], **variables(url)}
        command = [sys.executable, "-c", OPENING]
        said = await asyncio.to_thread(
            subprocess.check_output, command, cwd=REPOSITORY, env=environ, text=True
        )

    assert "set()\n" == said
