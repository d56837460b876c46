"""`happy server` of the published client starts this server through the package in compose/npm."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.client.phone import Phone
from tests.client.releases import CURRENT
from tests.client.terminal import Terminal
from tests.support.api_client import ApiClient
from tests.support.nodejs import node
from tests.support.server_process import REPOSITORY
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
PACKAGE = REPOSITORY / "compose" / "npm"
SHOW = "console.log(JSON.stringify(require(process.argv[1]).resolveServerArtifact()))"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The folder of packages where npm has installed ours from what it packs of it."""
    node()
    prefix = tmp_path / "npm"
    prefix.mkdir()
    packed = subprocess.run(
        ["npm", "pack", "--silent", str(PACKAGE)], cwd=prefix, check=True, capture_output=True, text=True
    )
    command = ["npm", "install", "--no-audit", "--no-fund", "--offline", "--prefix", str(prefix)]
    subprocess.run([*command, str(prefix / packed.stdout.strip())], check=True, capture_output=True)
    return prefix / "node_modules"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with the program `happy-server`, as pipx makes one."""
    folder = tmp_path / "programs"
    folder.mkdir()
    program = folder / "happy-server"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{REPOSITORY}" exec "{sys.executable}" -m happy "$@"\n')
    program.chmod(0o755)
    return folder


def resolved(package: Path, **variables: str) -> dict[str, object]:
    found = subprocess.run(
        [node(), "-e", SHOW, str(package / "happy-server-self-host")],
        env={"PATH": "/nowhere", "HOME": "/nowhere", **variables},
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(found.stdout)


def test_without_a_server_it_says_what_to_install(package: Path) -> None:
    found = resolved(package)
    run = subprocess.run(
        [str(found["command"]), *list(found["prefixArgs"]), "migrate"],  # type: ignore[call-overload]
        env={"PATH": "/nowhere", "HOME": "/nowhere"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert 1 == run.returncode
    assert "It needs Python 3.11 or newer" in run.stderr


def test_it_finds_the_program_a_python_or_what_was_named(
    package: Path, programs: Path, tmp_path: Path
) -> None:
    program = str(programs / "happy-server")
    of_another = tmp_path / "others" / "happy-server"
    of_another.parent.mkdir()
    of_another.write_text("#!/bin/sh\necho another server\n")
    of_another.chmod(0o755)
    python = Path(sys.executable).parent
    (tmp_path / "python" / "python3").parent.mkdir()
    (tmp_path / "python" / "python3").symlink_to(sys.executable)
    uvx = tmp_path / "uv" / "uvx"
    uvx.parent.mkdir()
    uvx.touch()
    usual = os.environ["PATH"]

    assert program == resolved(package, PATH=f"{of_another.parent}:{programs}:{usual}")["command"]
    assert program == resolved(package, HAPPY_SERVER_PROGRAM=program)["command"]
    by_python = resolved(package, PATH=str(python), PYTHONPATH=str(REPOSITORY), HAPPY_SERVER_PACKAGE="")
    assert by_python["prefixArgs"] in (["-m", "happy"], [])
    by_uvx = resolved(package, PATH=str(uvx.parent), HAPPY_SERVER_PACKAGE="happy.whl")
    assert (str(uvx), ["--from", "happy.whl", "happy-server"]) == (by_uvx["command"], by_uvx["prefixArgs"])


class Launcher:
    """The client in a home of its own; `happy server` in the background."""

    def __init__(self, home: Path, package: Path, programs: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.terminal = Terminal(home, self.url, CURRENT)
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(home),
            "HAPPY_HOME_DIR": str(self.terminal.folder),
            "NODE_PATH": str(package),
            "METRICS_ENABLED": "false",
        }
        self.log = home / "server.log"

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Until it is interrupted as by Ctrl-C, which all processes of a terminal get."""
        process = self._start()
        try:
            await until(lambda: self.answers() or process.poll() is not None, timeout=120)
            assert process.poll() is None, self.log.read_text()
            yield
            os.killpg(process.pid, signal.SIGINT)
            await asyncio.to_thread(process.wait, 60)
            await until(lambda: not self.answers())
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        with self.log.open("wb") as log:
            return subprocess.Popen(
                [*CURRENT.command, "server", "--port", str(self.port), "--no-persist"],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def answers(self) -> bool:
        try:
            return httpx.get(f"{self.url}/health").status_code == httpx.codes.OK
        except httpx.TransportError:
            return False


async def test_the_clients_own_launcher_migrates_serves_signs_in_and_restarts(
    package: Path, programs: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    launcher = Launcher(home, package, programs)
    try:
        async with launcher.serving(), ApiClient(launcher.url) as api:
            phone = Phone(api)
            await phone.sign_in()
            await launcher.terminal.login(phone.approve)
            session = await api.create_session()
            token = api.token
        text = launcher.log.read_text()
        assert "mode:       happy-server-self-host" in text
        assert "Happy Server" in text
        data = launcher.terminal.folder / "server-data"
        assert {"happy-server-light.sqlite", "master-secret"} <= {file.name for file in data.iterdir()}

        async with launcher.serving(), ApiClient(launcher.url, token=token) as again:
            listed = (await again.get("/v1/sessions"))["sessions"]
            assert [session["id"]] == [each["id"] for each in listed]
            assert launcher.terminal.credentials["token"]
    finally:
        launcher.terminal.clean_up()
