"""The first start of the light server as a person meets it, and what keeps it from starting: one line."""

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.server_process import REPOSITORY, Server, free_port


def refused(home: Path, **variables: str) -> str:
    """The only line of a server that must not start."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(home), "PORT": str(free_port()), **variables}
    ended = subprocess.run(
        [sys.executable, "-m", "happy", "serve", "--flavor", "light"],
        cwd=REPOSITORY,
        env=environ,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert 1 == ended.returncode
    assert 1 == ended.stderr.count("\n"), ended.stderr
    assert "" == ended.stdout
    return ended.stderr


def everything_in(home: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in home.rglob("*") if path.is_file()}


async def test_the_first_start_creates_its_files_and_prints_their_paths(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        assert 0 == await server.stop()
        secret = server.database.with_name("handy-master-secret.txt")

        assert 0o600 == secret.stat().st_mode & 0o777
        assert 0o700 == secret.parent.stat().st_mode & 0o777
        assert f"data      {secret.parent}" in server.log_text()
        assert f"address   http://localhost:{server.port}" in server.log_text()
        assert re.search(rf"terminal  HAPPY_SERVER_URL=http://\S+:{server.port} happy\n", server.log_text())
        assert secret.read_text() not in server.log_text()


@pytest.mark.slow
async def test_a_sign_in_outlives_the_process_and_leaves_no_token_in_the_log(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        async with ApiClient.signed_in(server.url) as api:
            await server.stop()
            await server.start()

            assert [] == await api.get("/v1/machines")
            assert api.token is not None
            assert api.token not in server.log_text()
        assert 2 == server.log_text().count(" ready ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_it_in_order(tmp_path: Path, number: signal.Signals) -> None:
    async with Server(tmp_path) as server:
        assert server.process is not None
        server.process.send_signal(number)

        assert 0 == server.process.wait(5)
        assert not server.database.with_name(f"{server.database.name}-wal").exists()


def test_a_port_that_is_taken_is_named_before_anything_is_made(tmp_path: Path) -> None:
    with socket.create_server(("0.0.0.0", 0)) as other:
        port = other.getsockname()[1]

        assert f"port {port}" in refused(tmp_path, PORT=str(port))
    assert [] == list(tmp_path.iterdir())


def test_a_malformed_variable_is_named_with_the_value_expected(tmp_path: Path) -> None:
    assert "happy-server: PORT: expected a port from 1 to 65535, got 'x'\n" == refused(tmp_path, PORT="x")
    assert [] == list(tmp_path.iterdir())


def test_a_data_directory_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    assert f"{tmp_path}/file" in refused(tmp_path, HAPPY_SERVER_LIGHT_DATA_DIR=f"{tmp_path}/file/data")
    assert ["file"] == [path.name for path in tmp_path.iterdir()]


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_a_data_directory_that_is_read_only_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)

    assert f"{tmp_path}/data" in refused(tmp_path, HAPPY_SERVER_LIGHT_DATA_DIR=f"{tmp_path}/data")


@pytest.mark.slow
async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        await server.stop()
    with closing(sqlite3.connect(server.database)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.execute('DROP TABLE "happy_SchemaCompatibility"')
        connection.commit()
    before = everything_in(tmp_path / ".happy")

    assert "9999" in refused(tmp_path)
    assert before == everything_in(tmp_path / ".happy")


@pytest.mark.parametrize(
    "content", [b"no database at all" * 300, b"SQLite format 3\0" + bytes(3) + b"\xff" * 4_000]
)
def test_a_damaged_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    database = Server(tmp_path).database
    database.parent.mkdir(parents=True)
    database.write_bytes(content)

    assert f"{database} is damaged" in refused(tmp_path)
    assert content == database.read_bytes()
    assert [database.name] == [path.name for path in database.parent.iterdir()]
