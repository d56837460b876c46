"""Accounts that are imported from another server go on here with everything; nothing here is overwritten."""

import asyncio
import gzip
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
from nacl.signing import SigningKey

from tests.e2e.test_backup import Person, ids_of, killed, server_of, writing
from tests.support.api_client import ApiClient
from tests.support.commands import Ended, command
from tests.support.environments import Environment, full_environment, light_environment
from tests.support.other_servers import dump, forget_us_in_postgres, forget_us_in_sqlite
from tests.support.until import until

pytestmark = pytest.mark.slow

SERVICES = pytest.mark.services
SOURCES = [
    pytest.param("a PostgreSQL database", marks=SERVICES),
    pytest.param("a dump with COPY", marks=SERVICES),
    pytest.param("a dump with INSERT", marks=SERVICES),
    "a SQLite database",
    "a backup",
]


@dataclass
class Filled:
    """A source with one account, and what its devices saw."""

    source: str
    files: Path
    person: Person
    seen: dict[str, Any]

    async def taken_by(self, environment: Environment, *options: str) -> Ended:
        return await command(environment, "import", self.source, "--files", str(self.files), *options)


@contextmanager
def environment_of(kind: str, folder: Path, request: pytest.FixtureRequest) -> Iterator[Environment]:
    if kind in ("a SQLite database", "a backup"):
        yield light_environment(folder)
        return
    with full_environment(folder, request.getfixturevalue("postgres_template")) as environment:
        yield environment


@asynccontextmanager
async def filled(
    kind: str, folder: Path, request: pytest.FixtureRequest, key: SigningKey | None = None
) -> AsyncIterator[Filled]:
    """An account on another server that has ended."""
    with environment_of(kind, folder / "data", request) as environment:
        async with server_of(environment, folder / "other") as server, ApiClient(server.url) as api:
            await api.sign_in(key)
            person = Person(api)
            await person.fill()
            seen = await person.seen()
            archive = folder / "backup.tar.zst"
            if kind == "a backup":
                assert 0 == (await command(environment, "backup", str(archive))).code
        if kind == "a backup":
            source = str(archive)
        elif kind == "a SQLite database":
            file = folder / "data" / "happy-server-light.sqlite"
            forget_us_in_sqlite(file)
            source = str(file)
        else:
            source = environment.variables["DATABASE_URL"]
            await forget_us_in_postgres(source)
            if kind != "a PostgreSQL database":
                options = ["--inserts"] if "INSERT" in kind else []
                source = str(dump(source, folder / "dump.sql", *options))
        yield Filled(source, folder / "data" / "files", person, seen)


async def assert_goes_on(environment: Environment, home: Path, one: Filled) -> None:
    """With its old token everything is as it was, and what is written next has the next number."""
    async with (
        server_of(environment, home) as server,
        ApiClient(server.url, token=one.person.api.token) as api,
    ):
        again = Person(api)
        again.session, again.file = one.person.session, one.person.file
        assert one.seen == await again.seen()
        (message,) = await api.post_messages(again.session, ["goes on"])
        assert 31 == message["seq"]


@pytest.mark.parametrize("kind", SOURCES)
async def test_everything_of_another_server_is_there_and_its_devices_go_on(
    environment: Environment, kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with filled(kind, tmp_path / "other", request) as other:
        planned = await other.taken_by(environment, "--dry-run", "--json")
        taken = await other.taken_by(environment, "--yes", "--json")
        again = await other.taken_by(environment, "--yes", "--json")

    assert planned.json["tables"] == taken.json["tables"]
    assert 30 == taken.json["tables"]["SessionMessage"]["new"]
    assert "known" == taken.json["secret"]
    assert 0 == again.json["conflictCount"]
    assert not any(counts["new"] for counts in (*again.json["tables"].values(), again.json["files"]))
    assert 30 == again.json["tables"]["SessionMessage"]["here"]
    assert 1 == again.json["files"]["here"]
    await assert_goes_on(environment, tmp_path / "home", other)


async def test_a_dry_run_changes_nothing(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with filled("a SQLite database", tmp_path / "other", request) as other:
        planned = await other.taken_by(environment, "--dry-run")
        other.files = other.files.parent  # the data directory, in which they are
        from_its_folder = await other.taken_by(environment, "--dry-run")

    assert 0 == planned.code, planned
    assert "files                1 new" in planned.out
    assert planned.out == from_its_folder.out
    assert "SessionMessage       30 new" in planned.out
    async with server_of(environment, tmp_path / "home"):
        listed = await command(environment, "accounts", "list", "--json")
        assert [] == listed.json


async def test_an_account_that_was_used_here_is_a_conflict_and_stays_as_it_is(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with filled("a SQLite database", tmp_path / "other", request) as other:
        assert 0 == (await other.taken_by(environment, "--yes")).code
        async with (
            server_of(environment, tmp_path / "home") as server,
            ApiClient(server.url, token=other.person.api.token) as api,
        ):
            await api.post_messages(other.person.session, ["written here"])
            here = await api.messages(other.person.session)

            again = await other.taken_by(environment, "--yes")
            assert here == await api.messages(other.person.session)

    assert 1 == again.code
    assert "it is here with other contents" in again.out
    assert "1 conflict: what is here is kept" in again.err


async def test_a_person_who_made_an_account_here_meanwhile_is_a_conflict(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    key = SigningKey.generate()
    async with (
        filled("a SQLite database", tmp_path / "other", request, key) as other,
        server_of(environment, tmp_path / "home") as server,
        ApiClient(server.url) as anew,
    ):
        await anew.sign_in(key)
        refused = await other.taken_by(environment, "--yes", "--json")
        assert [] == (await anew.get("/v1/sessions"))["sessions"]

    assert 1 == refused.code
    assert "its publicKey is that of account" in refused.out


async def test_writers_go_on_while_accounts_are_imported(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with filled("a SQLite database", tmp_path / "other", request) as other:
        await import_beside_writers(other, environment, tmp_path)
    await assert_goes_on(environment, tmp_path / "later", other)


async def import_beside_writers(other: Filled, environment: Environment, tmp_path: Path) -> None:
    async with server_of(environment, tmp_path / "home") as server, ApiClient.signed_in(server.url) as busy:
        async with writing(busy) as acknowledged:
            await until(lambda: all(len(ids) > 5 for ids in acknowledged.values()))
            taken = await other.taken_by(environment, "--yes")
        assert 0 == taken.code, taken
        for session, ids in acknowledged.items():
            messages = await busy.messages(session)
            assert ids == [message["id"] for message in messages]
            assert list(range(1, len(ids) + 1)) == [message["seq"] for message in messages]


async def test_another_master_secret_is_named_and_the_key_ring_saves_the_devices(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    secret = environment.variables["HANDY_MASTER_SECRET"]
    async with filled("a SQLite database", tmp_path / "other", request) as other:
        environment.variables["HANDY_MASTER_SECRET"] = "quite another secret for tests"
        lost = await other.taken_by(environment, "--dry-run")
        environment.variables["HANDY_MASTER_SECRET_PREVIOUS"] = secret
        saved = await other.taken_by(environment, "--yes")

    assert "that is not known here: every device has to sign in again, and 1 sealed" in lost.out
    assert "the master secret is known here" in saved.out
    await assert_goes_on(environment, tmp_path / "home", other)


async def test_what_the_database_cannot_store_is_left_out_and_named(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """A light database keeps zero characters, PostgreSQL none."""
    async with filled("a SQLite database", tmp_path / "other", request) as other:
        with closing(sqlite3.connect(other.source)) as connection, connection:
            connection.execute('UPDATE "Machine" SET "metadata" = ?', ("zero \0",))
        taken = await other.taken_by(environment, "--yes")

    if environment.flavor == "light":
        assert 0 == taken.code, taken
    else:
        assert 1 == taken.code
        assert "PostgreSQL cannot store a zero character" in taken.out
        assert "AccessKey            1 left out" in taken.out
        async with (
            server_of(environment, tmp_path / "home") as server,
            ApiClient(server.url, token=other.person.api.token) as api,
        ):
            assert 30 == len(await ids_of(api, other.person.session))


DISABLED = """
INSERT INTO "Account" (id, "publicKey", "createdAt", "updatedAt")
    VALUES ('one', 'AB', '2025-11-28', '2025-11-28');
INSERT INTO "happy_Revocation" (id, "accountId", "disabledAt", "changedAt", revision)
    VALUES ('account:one', 'one', '2025-11-28', '2025-11-28', 7);
INSERT INTO "happy_SchemaCompatibility" (oldest) VALUES ('0013');
"""


async def test_an_account_that_was_disabled_stays_disabled(environment: Environment, tmp_path: Path) -> None:
    (tmp_path / "dump.sql.gz").write_bytes(gzip.compress(DISABLED.encode()))

    for _ in range(2):
        taken = await command(environment, "import", str(tmp_path / "dump.sql.gz"), "--yes", "--json")
        assert not any("SchemaCompatibility" in note for note in taken.json["notes"])

    (account,) = (await command(environment, "accounts", "list", "--json")).json
    assert ("one", "disabled") == (account["id"], account["state"])


def test_an_embedded_database_names_the_commands_that_get_its_data_out(tmp_path: Path) -> None:
    folder = tmp_path / "server-data" / "pglite"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("17\n")

    refused = asyncio.run(command(light_environment(tmp_path / "here"), "import", str(folder.parent)))

    assert 1 == refused.code
    install, export = refused.out.splitlines()
    assert install.startswith("npm install --prefix ")
    assert f"{folder} {folder.parent}/pglite.sql" in export
    assert not (tmp_path / "here").exists()


@pytest.mark.timeout(600)
async def test_a_killed_import_is_taken_up_where_it_was(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    other_environment = light_environment(tmp_path / "other")
    seen: dict[str, list[dict[str, Any]]] = {}
    async with (
        server_of(other_environment, tmp_path / "one") as server,
        ApiClient.signed_in(server.url) as api,
    ):
        for _ in range(20):
            session = (await api.create_session())["id"]
            for _ in range(3):
                await api.post_messages(session, ["x" * 3_000] * 100)
            seen[session] = await api.messages(session)
        token = api.token
    source = str(tmp_path / "other")

    began = asyncio.get_running_loop().time()
    assert 0 == (await command(environment, "import", source, "--dry-run")).code
    longest, chance = 1.5 * (asyncio.get_running_loop().time() - began), Random(7)
    codes = [await killed(environment, chance, longest, "import", source, "--yes") for _ in range(12)]
    ended = await command(environment, "import", source, "--yes")

    assert 0 == ended.code, ended
    assert -signal.SIGKILL in codes
    async with server_of(environment, tmp_path / "home") as server, ApiClient(server.url, token=token) as api:
        assert seen.keys() == {session["id"] for session in (await api.get("/v1/sessions"))["sessions"]}
        for session, messages in seen.items():
            assert messages == await api.messages(session)
