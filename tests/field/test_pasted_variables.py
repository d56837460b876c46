"""Settings as people and platforms leave them: files from other editors, variables that others set."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.server_process import REPOSITORY, Server, free_port

pytestmark = pytest.mark.slow


async def answers(server: Server) -> bool:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return (await client.get(f"{server.url}/")).text == "Welcome to Happy Server!"


async def test_a_dotenv_file_saved_by_an_editor_on_windows_is_read(tmp_path: Path) -> None:
    port = free_port()
    (tmp_path / ".env").write_bytes(
        f'\ufeffPORT={port}\r\n\r\n# mine\r\nexport PUBLIC_URL="http://ada"  # why\r\nhunter2\r\n'.encode()
    )
    server = Server(tmp_path / "home", port=port, folder=tmp_path, variables={"PORT": " "})
    async with server:
        assert await answers(server)
        assert "warning happy.settings .env: line 5 not understood" in server.log_text()
        assert "hunter2" not in server.log_text()
        assert "public    http://ada" in server.log_text()


async def test_variables_of_a_platform_do_not_stop_the_start(tmp_path: Path) -> None:
    variables = {
        "HOST": "x86_64-conda-linux-gnu",
        "METRICS_PORT": "tcp://10.0.0.1:9090",
        "PUBLIC_URL": "/",
        "REDIS_PORT": "tcp://10.0.0.2:6379",
        "DEBUG": "*",
    }
    async with Server(tmp_path / "home", variables=variables) as server:
        assert await answers(server)
        warnings = [line for line in server.log_text().splitlines() if " warning " in line]

    assert ["HOST", "METRICS_PORT", "PUBLIC_URL"] == sorted(line.split()[3] for line in warnings)


def test_migrate_names_unused_variables_on_stderr(tmp_path: Path) -> None:
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    ran = subprocess.run(
        [sys.executable, "-m", "happy", "migrate", "--flavor", "light"],
        cwd=tmp_path,
        env={**environ, "HOST": "x86_64-conda-linux-gnu"},
        capture_output=True,
        text=True,
        check=True,
    )

    assert "happy-server: warning: HOST is not used: it holds the kind of machine" in ran.stderr
    assert 1 == ran.stderr.count("\n")
