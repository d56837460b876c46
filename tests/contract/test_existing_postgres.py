"""A PostgreSQL database of another server of this protocol is taken over, or named and left alone."""

import asyncio
from collections.abc import Awaitable, Callable

import asyncpg
import pytest

from happy.adapters.full.postgres import schema
from happy.adapters.full.postgres.adoption import SchemaMismatch
from happy.adapters.full.postgres.dsn import parse
from happy.domain.errors import StartupError
from schema import effects, migrate
from schema.compatibility import TABLE
from schema.revisions import HEAD
from tests.contract.existing_postgres import build, contents, definitions

pytestmark = pytest.mark.services
NewDatabase = Callable[[], Awaitable[str]]
VERSION = "alembic_version"
OLDEST = effects.oldest(migrate.scripts(), HEAD)


async def execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(statement)
    await connection.close()


async def start(url: str) -> None:
    """What `serve` asks before anything else."""
    connection = await asyncpg.connect(url)
    try:
        await schema.ensure_usable(connection, parse(url))
    finally:
        await connection.close()


async def test_every_row_and_every_definition_is_unchanged(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await build(url)
    rows, defined = await contents(url), await definitions(url)
    await schema.prepare(url)
    after = await contents(url)

    assert [(HEAD,)] == after.pop(VERSION)
    assert [(OLDEST,)] == after.pop(TABLE)
    added = {table: after.pop(table) for table in after.keys() - rows.keys()}

    assert rows == after
    assert {table: [] for table in added} == added
    assert all(table.startswith("happy_") for table in added)
    assert "_migrations" in after
    assert defined <= await definitions(url)


async def test_the_database_then_has_the_schema_of_a_new_one(new_postgres: NewDatabase) -> None:
    existing, new = await new_postgres(), await new_postgres()
    await build(existing)
    await schema.prepare(existing)
    await schema.prepare(new)
    ours = {line for line in await definitions(existing) if "_migrations" not in line}

    assert await definitions(new) == ours
    await schema.verify(existing)


async def test_several_servers_may_start_on_it_at_once(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await build(url)
    await asyncio.gather(*(schema.prepare(url) for _ in range(4)))

    assert [(HEAD,)] == (await contents(url))[VERSION]


async def test_several_servers_may_create_it_at_once(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await asyncio.gather(*(schema.prepare(url) for _ in range(4)))

    await start(url)


async def test_tables_that_older_servers_lack_are_created(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await build(url, 'DROP INDEX "Session_accountId_updatedAt_idx"', 'DROP TABLE "VoiceConversation"')
    await schema.prepare(url)

    await schema.verify(url)


async def test_columns_and_tables_that_are_not_ours_are_tolerated(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await build(
        url,
        'ALTER TABLE "Session" ADD COLUMN later TEXT',
        'ALTER TABLE "Account" ADD COLUMN flag BOOLEAN NOT NULL DEFAULT false',
        "CREATE TABLE later (id TEXT)",
    )
    await schema.prepare(url)

    await start(url)


MISMATCHES = {
    'there is no table "Artifact"': 'DROP TABLE "Artifact"',
    'table "Session": there is no column "metadataVersion"': (
        'ALTER TABLE "Session" DROP COLUMN "metadataVersion"'
    ),
    'table "Session": (accountId, tag) is not unique': 'DROP INDEX "Session_accountId_tag_key"',
    'table "Session": column "seq" is int8, not int4': 'ALTER TABLE "Session" ALTER seq TYPE bigint',
    'table "Session": column "createdAt" is timestamptz(3), not timestamp(3)': (
        'ALTER TABLE "Session" ALTER "createdAt" TYPE timestamptz(3)'
    ),
    'table "Session": column "metadata" must be NOT NULL': (
        'ALTER TABLE "Session" ALTER metadata DROP NOT NULL'
    ),
    'table "Session": the unknown column "must" is NOT NULL without a default': (
        "ALTER TABLE \"Session\" ADD COLUMN must TEXT NOT NULL DEFAULT '';"
        'ALTER TABLE "Session" ALTER must DROP DEFAULT'
    ),
    'table "UserFeedItem": the primary key is (), not (id)': (
        'ALTER TABLE "UserFeedItem" DROP CONSTRAINT "UserFeedItem_pkey"'
    ),
    'table "UserRelationship": column "status" is': (
        "ALTER TYPE \"RelationshipStatus\" RENAME VALUE 'friend' TO 'mate'"
    ),
}


@pytest.mark.parametrize("problem", MISMATCHES)
async def test_what_does_not_fit_is_named_and_left_alone(new_postgres: NewDatabase, problem: str) -> None:
    url = await new_postgres()
    await build(url, MISMATCHES[problem])
    rows, defined = await contents(url), await definitions(url)
    with pytest.raises(SchemaMismatch) as caught:
        await schema.prepare(url)

    assert problem in str(caught.value)
    assert "\n" not in str(caught.value)
    assert (rows, defined) == (await contents(url), await definitions(url))


async def test_serving_names_the_command_that_helps(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    with pytest.raises(StartupError, match="no schema of this server yet: run `happy-server migrate`"):
        await start(url)
    await build(url)
    with pytest.raises(StartupError, match="no schema of this server yet: run `happy-server migrate`"):
        await schema.verify(url)


async def test_serving_takes_it_over_by_itself(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await build(url)
    rows = await contents(url)
    await asyncio.gather(*(start(url) for _ in range(3)))
    await schema.verify(url)

    assert rows.items() <= (await contents(url)).items()


async def test_a_newer_schema_is_left_alone(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await schema.prepare(url)
    await execute(url, "UPDATE alembic_version SET version_num = '9999'")
    await execute(url, "UPDATE \"happy_SchemaCompatibility\" SET oldest = '9999'")

    for use in (start(url), schema.prepare(url), schema.verify(url)):
        with pytest.raises(StartupError, match="schema 9999, and this version knows none after"):
            await use


async def test_a_check_names_the_differences(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await schema.prepare(url)
    await execute(url, 'DROP INDEX "Session_accountId_updatedAt_idx"')

    with pytest.raises(StartupError, match="differs from schema"):
        await schema.verify(url)


async def test_an_address_may_name_a_schema(new_postgres: NewDatabase) -> None:
    url = await new_postgres()
    await execute(url, "CREATE SCHEMA happy")
    await schema.prepare(f"{url}?schema=happy&connection_limit=5")

    assert {} == await contents(url)


async def test_a_server_that_is_not_there_is_one_line() -> None:
    with pytest.raises(StartupError, match=r"cannot use the database 127\.0\.0\.1:1/happy: ") as caught:
        await schema.prepare("postgresql://somebody:hidden@127.0.0.1:1/happy")

    assert "hidden" not in str(caught.value)
    assert "\n" not in str(caught.value)
