"""A release as a person installs it: the wheel in an environment of its own, started from an empty home."""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient
from tests.support.databases import new_database
from tests.support.environments import full_variables
from tests.support.server_process import REPOSITORY, Server

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BUILD = (sys.executable, "-m", "hatchling", "build")
CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "UV_DEFAULT_INDEX")
PIP = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps")


def run(*command: str | Path, folder: Path) -> str:
    ended = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from the source archive, as package indexes and distributions build it."""
    folder = tmp_path_factory.mktemp("release")
    run(*BUILD, "-t", "sdist", "-d", str(folder), folder=REPOSITORY)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    run(*BUILD, "-t", "wheel", "-d", str(folder), folder=archive.with_suffix("").with_suffix(""))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="session")
def program(flavor: str, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`happy-server` in a new environment with what the flavor's lock file names, and nothing else."""
    folder = tmp_path_factory.mktemp(f"installed-{flavor}")
    run(sys.executable, "-m", "venv", "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    try:
        lock = REPOSITORY / "requirements" / f"{flavor}.lock"
        run(python, *PIP, "--require-hashes", "-r", lock, folder=folder)
    except AssertionError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the libraries cannot be installed here: {error}")
    run(python, *PIP, wheel, folder=folder)
    return python.with_name("happy-server")


@asynccontextmanager
async def started(flavor: str, program: Path, home: Path) -> AsyncIterator[Server]:
    """In an empty folder and home; full on a database without any table."""
    isolated = {"PYTHONPATH": ""}
    if flavor == "light":
        async with Server(home, variables=isolated, folder=home, program=[str(program)]) as server:
            yield server
        return
    async with new_database(migrated=False) as url:
        variables = {**full_variables(url, home / "files"), **isolated}
        server = Server(home, flavor=flavor, variables=variables, folder=home, program=[str(program)])
        await server.command("migrate")
        async with server:
            yield server


async def test_an_installed_wheel_serves_from_an_empty_home(
    flavor: str, program: Path, tmp_path: Path
) -> None:
    async with started(flavor, program, tmp_path) as server:
        async with ApiClient.signed_in(server.url) as api:
            assert [] == await api.get("/v1/machines")
        assert "up to date" in await server.command("schema-check")
        assert 0 == await server.stop()


# What these need they ask of the package index, as on the machine of whoever installs a release.
INSTALLERS = {
    "pipx": ("pipx", "run", "--python", sys.executable, "--spec", "{wheel}", "happy-server"),
    "uvx": ("uv", "tool", "run", "--python", sys.executable, "--from", "{wheel}", "happy-server"),
}


@pytest.mark.parametrize("installer", INSTALLERS)
async def test_the_program_that_installs_it_can_serve_with_it(
    installer: str, wheel: Path, tmp_path: Path
) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    name, *arguments = INSTALLERS[installer]
    found = shutil.which(name, path=path)
    if found is None:
        pytest.skip(f"{name} is not installed")
    program = [found, *(argument.format(wheel=wheel) for argument in arguments)]
    certificates = {name: value for name, value in os.environ.items() if name in CERTIFICATES}
    server = Server(
        tmp_path, variables={"PATH": path, "PYTHONPATH": "", **certificates}, folder=tmp_path, program=program
    )
    try:
        await server.command("version")
    except AssertionError as error:
        if os.environ.get("CI"):
            raise
        pytest.skip(f"the libraries cannot be installed here: {error}")
    async with server, ApiClient.signed_in(server.url) as api:
        assert [] == await api.get("/v1/machines")
        assert 0 == await server.stop()


def test_it_installs_the_manual_page(flavor: str, program: Path) -> None:
    page = program.parents[1] / "share" / "man" / "man1" / "happy-server.1"
    assert page.read_text("utf-8").startswith(".TH HAPPY")


def test_it_installs_the_program_alone(flavor: str, program: Path) -> None:
    site = Path(
        run(program.with_name("python"), "-c", "import PIL; print(PIL.__path__[0])", folder=Path("/"))
    )

    assert not (site.parent / "schema").exists()
    assert [] == [name for name in ("tests", "compose", "docs") if (site.parent / name).exists()]
