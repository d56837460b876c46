"""After an upgrade, the release before is started again on the same database, and then the later one."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from schema.revisions import HEAD, REVISIONS
from tests.support.api_client import ApiClient
from tests.support.databases import new_database
from tests.support.environments import Environment, full_variables, light_environment
from tests.support.other_releases import LATER, earlier_release, later_release, server_of
from tests.support.server_process import REPOSITORY, Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


async def upgraded(environment: Environment, home: Path, release: Path) -> Server:
    """A server of this version, stopped, on a database that the later release has migrated."""
    server = server_of(REPOSITORY, environment, home)
    await server.command("migrate")
    await server_of(release, environment, home).command("migrate")
    return server


async def refusal(server: Server, *arguments: str) -> str:
    with pytest.raises(AssertionError) as caught:
        await server.command(*arguments)
    return str(caught.value).split("assert ")[0].strip()


async def test_the_release_before_goes_on_with_a_database_that_a_later_one_has_migrated(
    environment: Environment, tmp_path: Path
) -> None:
    later = later_release(tmp_path / "later", oldest=REVISIONS[0])
    key, home = SigningKey.generate(), tmp_path / "home"
    async with (
        server_of(REPOSITORY, environment, home) as server,
        ApiClient.signed_in(server.url, key=key) as api,
    ):
        session = (await api.create_session())["id"]
        await api.post_messages(session, ["before"])
    await upgraded(environment, home, later)
    async with (
        server_of(REPOSITORY, environment, home) as server,
        ApiClient.signed_in(server.url, key=key) as api,
    ):
        assert f"has schema {LATER}" in server.log_text()
        assert f"schema {LATER}" in await server.command("schema-check")
        assert api.token is not None
        await server.command("accounts", "list")
        await api.post_messages(session, ["after going back"])
        other = (await api.create_session())["id"]
        assert 0 == await server.stop()
    async with server_of(later, environment, home) as server, ApiClient.signed_in(server.url, key=key) as api:
        contents = [message["content"]["c"] for message in await api.messages(session)]
        await api.post_messages(session, ["after going forward"])

        assert ["before", "after going back"] == contents
        assert {session, other} == {item["id"] for item in (await api.get("/v1/sessions"))["sessions"]}


async def test_commands_of_the_release_before_say_which_schema_it_is(
    environment: Environment, tmp_path: Path
) -> None:
    later = later_release(tmp_path / "later", oldest=HEAD)
    server = await upgraded(environment, tmp_path / "home", later)

    assert f"has schema {LATER}" in await server.command("migrate")
    assert "start the newer happy-server" in await refusal(server, "backup", str(tmp_path)), (
        "this version does not know all that is to be backed up"
    )


async def test_a_release_that_must_not_go_on_is_refused_in_one_line(
    environment: Environment, tmp_path: Path
) -> None:
    later = later_release(tmp_path / "later", oldest=LATER)
    server = await upgraded(environment, tmp_path / "home", later)
    for arguments in (("serve",), ("migrate",), ("schema-check",), ("accounts", "list")):
        line = await refusal(server, *arguments)

        assert re.search(rf"has schema {LATER}, .*: start the newer happy-server that wrote it", line), line
        assert "\n" not in line


@pytest.fixture
async def unmigrated(flavor: str, tmp_path: Path) -> AsyncIterator[Environment]:
    """Without a schema, which an earlier version then makes."""
    if flavor == "light":
        yield light_environment(tmp_path / "data")
        return
    async with new_database(migrated=False) as url:
        yield Environment("full", full_variables(url, tmp_path / "files"))


@pytest.mark.parametrize("migrations", [1, 3])
async def test_earlier_code_works_on_this_schema_or_says_in_one_line_that_it_does_not(
    migrations: int, unmigrated: Environment, tmp_path: Path
) -> None:
    """The real code of then, on a database that it has filled and this version has migrated."""
    earlier, home = earlier_release(tmp_path / "earlier", migrations=migrations), tmp_path / "home"
    key, old = SigningKey.generate(), server_of(earlier, unmigrated, home)
    await old.command("migrate")
    async with old, ApiClient.signed_in(old.url, key=key) as api:
        session = (await api.create_session())["id"]
        await api.post_messages(session, ["before"])
        assert 0 == await old.stop()
    await server_of(REPOSITORY, unmigrated, home).command("migrate")
    expected = ["before"]
    try:
        await old.command("migrate")
    except AssertionError:
        for command in ("migrate", "serve"):
            line = await refusal(old, command)
            assert "start the newer happy-server that wrote it" in line, line
            assert "\n" not in line
    else:
        async with old, ApiClient.signed_in(old.url, key=key) as api:
            await api.post_messages(session, ["after going back"])
            expected.append("after going back")
    async with server_of(REPOSITORY, unmigrated, home) as new, ApiClient.signed_in(new.url, key=key) as api:
        assert expected == [message["content"]["c"] for message in await api.messages(session)]
