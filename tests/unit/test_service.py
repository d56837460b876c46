"""The service of systemd: its unit as systemd's own tools judge it, and its installation."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from happy.cli import systemd
from happy.cli.main import run
from happy.cli.systemd_unit import MADE_BY, Service
from happy.settings import FLAVORS, Flavor

PYTHON = "/usr/bin/env"
"""Stands for an interpreter that everybody may run, wherever these tests are."""

flavors = pytest.mark.parametrize("flavor", FLAVORS)
users = pytest.mark.parametrize("for_user", [False, True], ids=["machine", "user"])


def described(flavor: Flavor, *, for_user: bool, python: str = PYTHON) -> Service:
    home = Path("/home/ada")
    return (
        Service(flavor, python, "1G", home, home / ".config") if for_user else Service(flavor, python, "1G")
    )


def analyze(*arguments: str | Path, folder: Path = Path("/run")) -> str:
    """What systemd-analyze says, which must be content. A user's manager has a `folder` for its sockets."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    variables = {**os.environ, "XDG_RUNTIME_DIR": str(folder)}
    ended = subprocess.run(
        [program, *map(str, arguments)], env=variables, check=False, capture_output=True, text=True
    )
    assert (0, "") == (ended.returncode, ended.stderr)
    return ended.stdout


@pytest.fixture
def unit_folder(tmp_path: Path) -> Path:
    (tmp_path / "units").mkdir()
    return tmp_path / "units"


def written(folder: Path, service: Service) -> Path:
    path = folder / "happy-server.service"
    path.write_text(service.unit())
    return path


@flavors
@users
def test_systemd_accepts_the_unit(flavor: Flavor, for_user: bool, unit_folder: Path) -> None:
    path = written(unit_folder, described(flavor, for_user=for_user))
    analyze("verify", "--man=no", *(["--user"] if for_user else []), path, folder=unit_folder)


@pytest.mark.parametrize("name", ["with space", "100%h", "a$HOME", "a;b"])
def test_systemd_finds_the_program_whatever_its_folder_is_called(
    name: str, tmp_path: Path, unit_folder: Path
) -> None:
    (tmp_path / name).mkdir()
    python = tmp_path / name / "python"
    python.symlink_to(sys.executable)
    analyze("verify", "--man=no", written(unit_folder, described("full", for_user=False, python=str(python))))


def test_the_unit_of_the_machine_has_few_rights(unit_folder: Path) -> None:
    path = written(unit_folder, described("full", for_user=False))
    shown = analyze("security", "--offline=yes", "--threshold=20", "--no-pager", path)
    assert re.search(r"Overall exposure level for happy-server.service: [01]\.\d OK", shown)


@flavors
@users
def test_the_settings_are_read_by_a_shell_too(flavor: Flavor, for_user: bool, tmp_path: Path) -> None:
    service = described(flavor, for_user=for_user)
    path = tmp_path / "environment"
    path.write_text(service.settings())
    name = "HAPPY_SERVER_LIGHT_DATA_DIR" if flavor == "light" else "DATA_DIR"
    script = f'. {shlex.quote(str(path))} && printf %s "${name}"'
    shown = subprocess.run(["sh", "-c", script], check=True, capture_output=True, text=True).stdout
    assert str(service.data) == shown


# ---- the commands ----------------------------------------------------------------------------------------


@pytest.fixture
def image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of an image that is being made."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("systemctl", "systemd-sysusers"))):
        pytest.skip("needs root and systemd's programs")
    monkeypatch.setattr(sys, "executable", PYTHON)
    folder = tmp_path / "image"
    (folder / "etc").mkdir(parents=True)
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a user whose service manager does not run, also where it does for whoever tests."""
    if shutil.which("systemctl") is None:
        pytest.skip("systemctl is not installed")
    monkeypatch.setattr(systemd, "RUNNING", tmp_path / "not running")
    for name, value in {"HOME": str(tmp_path), "SYSTEMD_OFFLINE": "1"}.items():
        monkeypatch.setenv(name, value)
    for name in ("XDG_CONFIG_HOME", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def everything_in(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if not path.is_dir())
    return {path.relative_to(folder).as_posix() for path in found}


def service_command(*arguments: str) -> int:
    return run(["service", *arguments], os.environ)


def test_install_says_what_it_would_do_and_does_nothing_unasked(
    image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert 1 == service_command("install", "--root", str(image))
    shown = capsys.readouterr()
    assert [
        "Writes /etc/systemd/system/happy-server.service: runs `/usr/bin/env -m happy serve --flavor light`",
        "with at most 1G of memory.",
        "Writes /etc/happy-server/environment, the settings;",
        "data are in /var/lib/happy-server unless they say otherwise.",
        "Writes /etc/sysusers.d/happy-server.conf, and makes the user happy-server that the server runs as.",
        "Starts it when the machine starts, not now.",
    ] == shown.out.splitlines()
    assert "happy-server: nothing was done: add --yes to do it without a prompt\n" == shown.err
    assert set() == everything_in(image)


@flavors
def test_an_image_gets_the_unit_its_user_and_settings_and_loses_the_unit_alone(
    flavor: Flavor, image: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ("--root", str(image), "--flavor", flavor)
    assert 0 == service_command("install", "--yes", *common)
    unit, settings = image / "etc/systemd/system/happy-server.service", image / "etc/happy-server/environment"
    assert f"serve --flavor {flavor}" in unit.read_text()
    assert (0o644, 0o600) == (unit.stat().st_mode & 0o777, settings.stat().st_mode & 0o777)
    assert "\nhappy-server:" in "\n" + (image / "etc/passwd").read_text()
    assert (image / "etc/systemd/system/multi-user.target.wants/happy-server.service").is_symlink()
    assert ("Fill in /etc/happy-server/environment" in capsys.readouterr().out) == (flavor == "full")

    settings.write_text("PORT=4000\n")
    assert 0 == service_command("install", "--yes", "--memory", "2G", *common)
    assert ("PORT=4000\n", True) == (settings.read_text(), "MemoryMax=2G" in unit.read_text())
    assert "Keeps /etc/happy-server/environment" in capsys.readouterr().out

    before = everything_in(image)
    assert 0 == service_command("uninstall", "--yes", "--json", *common)
    removed = json.loads(capsys.readouterr().out)["removed"]
    assert ["/etc/systemd/system/happy-server.service", "/etc/sysusers.d/happy-server.conf"] == removed
    wants = "etc/systemd/system/multi-user.target.wants/happy-server.service"
    assert {wants, *(path.lstrip("/") for path in removed)} == before - everything_in(image)


def test_a_user_installs_it_without_root(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert 0 == service_command("show", "--user")
    shown = capsys.readouterr()
    unit = home / ".config/systemd/user/happy-server.service"
    assert f"{unit}: not installed\n" == shown.err

    assert 0 == service_command("install", "--user", "--yes", "--json")
    assert {
        "path": str(unit),
        "settings": str(home / ".config/happy-server/environment"),
        "started": False,
    } == (json.loads(capsys.readouterr().out))
    assert shown.out == unit.read_text()
    assert (home / ".config/systemd/user/default.target.wants/happy-server.service").is_symlink()
    assert 0 == service_command("show", "--user", "--json")
    assert "installed" == json.loads(capsys.readouterr().out)["state"]
    assert 0 == service_command("show", "--user", "--memory", "2G")
    assert f"{unit}: installed, but different\n" == capsys.readouterr().err

    assert 0 == service_command("uninstall", "--user", "--yes")
    assert {".config/happy-server/environment"} == everything_in(home)
    capsys.readouterr()
    assert 1 == service_command("uninstall", "--user", "--yes")
    assert f"happy-server: {unit} does not exist: nothing to remove\n" == capsys.readouterr().err


@pytest.mark.parametrize("command", ["install", "uninstall"])
def test_a_unit_that_somebody_wrote_is_left_alone(
    command: str, home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    unit = home / ".config/systemd/user/happy-server.service"
    unit.parent.mkdir(parents=True)
    unit.write_text("[Service]\nExecStart=/bin/true\n")

    assert 1 == service_command(command, "--user", "--yes")
    assert "was not made by this command: move it away first" in capsys.readouterr().err
    assert {unit.relative_to(home).as_posix()} == everything_in(home)


def test_only_root_installs_it_for_the_machine(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert 1 == service_command("install", "--yes")
    assert (
        "happy-server: only root can do this for the whole machine: use sudo, or --user\n"
        == capsys.readouterr().err
    )


def test_a_machine_without_systemd_is_told_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert 1 == service_command("install", "--user", "--yes")
    assert "happy-server: systemctl was not found: this machine has no systemd\n" == capsys.readouterr().err


@pytest.mark.parametrize(
    ("python", "for_user", "problem"),
    [
        (PYTHON, False, None),
        (
            "/root/.local/share/pipx/venvs/happy-server/bin/python",
            False,
            "use `pipx install --global` or --user",
        ),
        ("/home/ada/.local/share/pipx/venvs/happy-server/bin/python", True, None),
        ("/home/ada/.cache/uv/archive-v0/Ab3/bin/python", True, "is in a cache"),
        ("/srv/ada's/bin/python", False, "quotes or backslashes"),
        ("/srv/a\nExecStart=/bin/sh", True, "quotes or backslashes"),
        ("/var/cache/uv/environments-v2/Ab3/bin/python", False, "is in a cache"),
    ],
)
def test_a_program_that_the_service_could_not_run_is_refused(
    python: str, for_user: bool, problem: str | None
) -> None:
    found = systemd.obstacles(described("light", for_user=for_user, python=python))
    assert [] == found if problem is None else problem in found[0]


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (
            ["--memory", "much"],
            "Invalid value for '--memory': expected a number and K, M, G or T, such as 1G",
        ),
        (["--user", "--root", "/"], "--user and --root cannot be combined"),
    ],
)
def test_usage_errors(arguments: list[str], error: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert 2 == service_command("show", *arguments)
    assert f"Error: {error}" == capsys.readouterr().err.splitlines()[-1]


def test_every_unit_says_who_made_it() -> None:
    assert described("light", for_user=False).unit().startswith(f"{MADE_BY}\n[Unit]\n")
