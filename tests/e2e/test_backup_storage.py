"""A backup goes to an object store or through a pipe, and comes back from there."""

import asyncio
import os
import sys
from collections.abc import Iterator

import pytest

from tests.support.commands import REPOSITORY, command
from tests.support.environments import Environment, OpenEnvironment
from tests.support.object_store import ObjectStore, run_object_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with run_object_store() as running:
        yield running


def backup_store(store: ObjectStore) -> dict[str, str]:
    """A store for backups alone: uploaded files stay where they are."""
    names = ("HOST", "PORT", "USE_SSL", "ACCESS_KEY", "SECRET_KEY")
    variables = store.variables("unused")
    return {f"HAPPY_BACKUP_S3_{name}": variables[f"S3_{name}"] for name in names}


async def invite(environment: Environment) -> list[str]:
    """Something to find again."""
    environment.variables["PUBLIC_URL"] = "http://happy.example.org"
    if environment.flavor == "light":
        assert 0 == (await command(environment, "migrate")).code
    assert 0 == (await command(environment, "invites", "create")).code
    return await invites(environment)


async def invites(environment: Environment) -> list[str]:
    return [found["id"] for found in (await command(environment, "invites", "list", "--json")).json]


async def test_a_backup_goes_to_an_object_store_and_comes_back(
    environment: Environment, open_environment: OpenEnvironment, object_store: ObjectStore
) -> None:
    environment.variables.update(backup_store(object_store))
    made, bucket = await invite(environment), object_store.new_bucket()

    where = (await command(environment, "backup", f"s3://{bucket}/ours/", "--json")).json["path"]
    named = await command(environment, "backup", f"s3://{bucket}/by-name")
    missing = await command(environment, "backup", f"s3://{bucket}-not-there/")

    assert where.startswith(f"s3://{bucket}/ours/happy-{environment.flavor}-")
    assert (0, 1) == (named.code, missing.code)
    assert missing.err.startswith("happy-server: cannot use the bucket")
    assert ["by-name", where.removeprefix(f"s3://{bucket}/")] == sorted(object_store.keys(bucket))
    assert "good" in (await command(environment, "verify", where)).out
    with open_environment() as other:
        other.variables.update(backup_store(object_store))
        assert 0 == (await command(other, "restore", where)).code
        assert made == await invites(other)


async def test_a_backup_goes_through_a_pipe(
    environment: Environment, open_environment: OpenEnvironment
) -> None:
    made = await invite(environment)
    code, archive, _ = await piped(environment, b"", "backup", "-")
    assert 0 == code

    assert 0 == (await piped(environment, archive, "verify", "-"))[0]
    short = await piped(environment, archive[:-1], "verify", "-")
    assert 1 == short[0]
    assert b"cut short" in short[2]
    with open_environment() as other:
        assert 0 == (await piped(other, archive, "restore", "-"))[0]
        assert made == await invites(other)


async def piped(environment: Environment, given: bytes, *arguments: str) -> tuple[int | None, bytes, bytes]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "happy", "--flavor", environment.flavor, *arguments),
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], **environment.variables},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(given)
    return process.returncode, out, err
