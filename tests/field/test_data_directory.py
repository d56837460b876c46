"""Accidents with the data directory of a running light server, and the disks of NAS boxes."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.field.test_lost_secret import refused
from tests.support.api_client import ApiClient
from tests.support.server_process import Server, free_port
from tests.support.until import until

pytestmark = pytest.mark.slow

BINDFS = shutil.which("bindfs")


async def health(server: Server) -> int:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return (await client.get(f"{server.url}/health")).status_code


async def new_session(api: ApiClient, tag: str, metadata: str = "m") -> int:
    answer = await api.request("POST", "/v1/sessions", json={"tag": tag, "metadata": metadata})
    return answer.status_code


async def test_a_second_server_on_one_data_directory_is_refused(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        second = Server(tmp_path, port=free_port())
        said = refused(second)
        assert server.process is not None
        assert f"in use by another happy-server, process {server.process.pid} on " in said
        assert "HAPPY_SERVER_LIGHT_DATA_DIR" in said
        assert 200 == await health(server)

        server.kill()  # which leaves the lock's file behind
        async with second:
            assert 200 == await health(second)


def delete_database(server: Server) -> None:
    server.database.unlink()


def replace_database(server: Server) -> None:
    copy = server.database.with_name("copy")
    shutil.copy(server.database, copy)
    copy.replace(server.database)


def delete_folder(server: Server) -> None:
    shutil.rmtree(server.database.parent)


def delete_log(server: Server) -> None:
    server.database.with_name(f"{server.database.name}-wal").unlink()


@pytest.mark.parametrize("accident", [delete_database, replace_database, delete_folder, delete_log])
async def test_a_database_file_that_goes_away_under_the_server_takes_no_more_writes(
    tmp_path: Path, accident: Callable[[Server], None]
) -> None:
    async with Server(tmp_path) as server, ApiClient.signed_in(server.url) as api:
        assert (200, 200) == (await new_session(api, "before"), await health(server))
        accident(server)

        assert 503 == await new_session(api, "after")
        assert 503 == await health(server)
        assert "while the server runs: no writes are taken; put it back" in server.log_text()


async def test_an_older_copy_written_into_the_database_of_a_running_server_is_noticed(tmp_path: Path) -> None:
    async with Server(tmp_path) as server, ApiClient.signed_in(server.url) as api:
        await new_session(api, "first")
    older = server.database.read_bytes()

    async with Server(tmp_path) as server, ApiClient.signed_in(server.url) as api:
        for number in range(300):  # more than fits into the write-ahead log before a checkpoint
            assert 200 == await new_session(api, f"later {number}", metadata="m" * 20_000)
        server.database.write_bytes(older)

        assert 503 == await new_session(api, "after")
        assert 503 == await health(server)
        assert "was overwritten while the server runs: no writes are taken" in server.log_text()
        assert "delete" in server.log_text()


async def test_a_deleted_database_is_noticed_while_nobody_writes(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        delete_database(server)

        async def unhealthy() -> bool:
            return await health(server) == 503

        await until(unhealthy, what="the server is unhealthy")


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a folder as a file system with the options of bindfs."""
    if BINDFS is None or not Path("/dev/fuse").exists() or os.geteuid() != 0:
        pytest.skip("no bindfs")
    folder = tmp_path / "nas"

    def mount(*options: str) -> Path:
        (tmp_path / "disk").mkdir()
        folder.mkdir()
        command = [BINDFS, *options, str(tmp_path / "disk"), str(folder)]
        if subprocess.run(command, check=False).returncode:
            pytest.skip("nothing can be mounted here")
        return folder

    yield mount
    if folder.is_mount():
        subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_disk_that_keeps_no_owners_and_modes_is_a_warning(
    tmp_path: Path, mount: Callable[..., Path]
) -> None:
    nas = mount("--perms=0777", "--chmod-deny", "--chown-deny", "--force-user=nobody")
    server = Server(tmp_path / "home", variables={"HAPPY_SERVER_LIGHT_DATA_DIR": str(nas / "data")})
    async with server:
        async with ApiClient.signed_in(server.url) as api:
            await new_session(api, "one")
            await server.stop()
            await server.start()
            assert 1 == len((await api.get("/v1/sessions"))["sessions"])
        for kept in (nas / "data", server.database.with_name("handy-master-secret.txt")):
            assert f"others on this machine may read {kept}: its file" in server.log_text()
        await server.stop()


def test_a_share_without_shared_memory_is_named_in_one_line(
    tmp_path: Path, mount: Callable[..., Path]
) -> None:
    nas = mount("-o", "direct_io")
    said = refused(Server(tmp_path / "home", variables={"HAPPY_SERVER_LIGHT_DATA_DIR": str(nas)}))

    assert "its file system has no shared memory: set DATABASE_URL=file:<path on a local disk>" in said
