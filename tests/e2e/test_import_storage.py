"""An import reads from an object store and from a pipe; uploaded files come from a bucket."""

import asyncio
import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from happy.settings import DATABASE_NAME
from tests.e2e.test_backup_storage import backup_store, piped
from tests.e2e.test_import import filled
from tests.support.commands import command
from tests.support.environments import Environment
from tests.support.object_store import ObjectStore, run_object_store

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def object_store() -> Iterator[ObjectStore]:
    with run_object_store() as running:
        yield running


async def test_a_backup_in_an_object_store_is_imported_into_a_used_place_and_nothing_twice(
    environment: Environment, object_store: ObjectStore, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    environment.variables.update(backup_store(object_store))
    where, bucket = "ours/backup.tar.zst", object_store.new_bucket()
    async with (
        filled("a backup", tmp_path / "first", request) as first,
        filled("a backup", tmp_path / "second", request) as second,
    ):
        assert 0 == (await command(environment, "import", first.source, "--yes")).code
        object_store.client.upload_file(second.source, bucket, where)

        planned = await command(environment, "import", f"s3://{bucket}/{where}", "--dry-run", "--json")
        taken = await command(environment, "import", f"s3://{bucket}/{where}", "--yes", "--json")
        again = await command(environment, "import", f"s3://{bucket}/{where}", "--yes", "--json")
        missing = await command(environment, "import", f"s3://{bucket}/nothing", "--yes")

    assert planned.json["tables"] == taken.json["tables"]
    assert (1, 30, 1) == (
        taken.json["tables"]["Account"]["new"],
        taken.json["tables"]["SessionMessage"]["new"],
        taken.json["files"]["new"],
    )
    assert not any(counts["new"] for counts in (*again.json["tables"].values(), again.json["files"]))
    assert (0, 1) == (again.json["conflictCount"], again.json["files"]["here"])
    assert 2 == len((await command(environment, "accounts", "list", "--json")).json)
    assert (1, f"happy-server: the bucket '{bucket}' has no 'nothing'\n") == (missing.code, missing.err)


async def test_a_pipe_brings_a_backup_a_dump_and_a_database(
    environment: Environment, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    async with filled("a backup", tmp_path / "other", request) as other:
        archive, database = await asyncio.to_thread(
            lambda: [Path(path).read_bytes() for path in (other.source, other.files.parent / DATABASE_NAME)]
        )
    no_dump = gzip.compress(b"-- nothing of this protocol\n")

    unasked = await piped(environment, archive, "import", "-")
    taken = await piped(environment, archive, "import", "-", "--yes")
    again = await piped(environment, database, "import", "-", "--yes")
    refused = await piped(environment, no_dump, "import", "-", "--yes")

    assert (1, b"happy-server: nothing was done: add --yes to do it without a prompt\n") == unasked[::2]
    assert (0, b"") == taken[::2]
    assert b"SessionMessage       30 new" in taken[1]
    assert (0, b"") == again[::2]
    assert b"Nothing is new from a SQLite database:" in again[1]
    assert (1, b"happy-server: -: it has no accounts of this protocol\n") == refused[::2]


async def test_uploaded_files_come_from_a_bucket(
    environment: Environment, object_store: ObjectStore, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    theirs, ours = object_store.new_bucket(), object_store.new_bucket()
    environment.variables.update(object_store.variables(ours))
    async with filled("a SQLite database", tmp_path / "other", request) as other:
        files = {
            str(path.relative_to(other.files)): path.read_bytes()
            for path in other.files.rglob("*")
            if path.is_file()
        }
        for key, content in files.items():
            object_store.client.put_object(Bucket=theirs, Key=key, Body=content)
        arguments = ("import", other.source, "--files", f"s3://{theirs}", "--yes", "--json")
        taken = (await command(environment, *arguments)).json
        again = (await command(environment, *arguments)).json

    assert len(files) == taken["files"]["new"] == again["files"]["here"] > 0
    assert files == stored(environment, object_store, ours)
    listed = "1 file" if environment.flavor == "light" else "1 file listed, not copied"
    assert listed == await held(environment, tmp_path / "listed.tar.zst")
    assert "1 file" == await held(environment, tmp_path / "copied.tar.zst", "--with-files")


async def held(environment: Environment, archive: Path, *options: str) -> str:
    """The files of a new backup, in the words of `verify`."""
    assert 0 == (await command(environment, "backup", str(archive), *options)).code
    checked = await command(environment, "verify", str(archive), "--deep")
    return checked.out.rstrip().rpartition(" rows, ")[2]


def stored(environment: Environment, object_store: ObjectStore, bucket: str) -> dict[str, bytes]:
    """What this server has now: on light in its folder, on full in its bucket."""
    if environment.flavor == "light":
        folder = Path(environment.variables["HAPPY_SERVER_LIGHT_DATA_DIR"]) / "files"
        found = (path for path in folder.rglob("*") if path.is_file())
        return {str(path.relative_to(folder)): path.read_bytes() for path in found}
    client = object_store.client
    return {
        key: client.get_object(Bucket=bucket, Key=key)["Body"].read() for key in object_store.keys(bucket)
    }
