"""What holds for the project as a whole: its modules, its dependencies, and the package it becomes."""

import ast
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

from happy import __version__

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
MODULES = sorted(path for folder in ("happy", "schema") for path in (ROOT / folder).rglob("*.py"))
LOCKS = ("light", "full", "dev")
# Half a second each to import, or needed by a few requests only.
HEAVY = {"alembic", "cryptography.hazmat", "httpx", "PIL", "prometheus_client", "sqlalchemy"}


def lock_text(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.lock").read_text("utf-8")


def locked(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9-]+)==(\S+)", lock_text(name), re.MULTILINE))


def required(*lists: list[str]) -> set[str]:
    names = {re.split(r"[^A-Za-z0-9-]", requirement)[0].lower() for each in lists for requirement in each}
    return names - {PROJECT["name"]}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_has_a_docstring(module: Path) -> None:
    docstring = ast.get_docstring(ast.parse(module.read_text("utf-8")))

    assert docstring or "versions" in module.parts


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_pins_by_hash_and_names_no_index(name: str) -> None:
    text = lock_text(name)
    requirements = [block for block in re.split(r"\n(?=\w)", text) if not block.startswith("#")]

    assert requirements
    assert [] == [requirement for requirement in requirements if "--hash=sha256:" not in requirement]
    assert [] == re.findall(r"://|index-url|find-links|\s/\w| @ ", text)


def test_the_lock_files_hold_the_declared_dependencies() -> None:
    extras = PROJECT["optional-dependencies"]

    assert required(PROJECT["dependencies"]) <= locked("light").keys()
    assert required(PROJECT["dependencies"], extras["full"]) <= locked("full").keys()
    assert required(PROJECT["dependencies"], extras["full"], extras["dev"]) <= locked("dev").keys()


def test_the_smaller_lock_files_are_parts_of_the_larger() -> None:
    assert locked("light").items() <= locked("full").items() <= locked("dev").items()


def test_the_package_carries_its_data_and_installs_one_top_level_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("entry_points.txt"))
        entry_points = archive.read(metadata).decode()

    schema = ROOT / "schema"
    data = {path for path in schema.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    assert {f"happy/_packages/schema/{path.relative_to(schema)}" for path in data} <= names
    assert "happy/__main__.py" in names
    assert "happy-server = happy.__main__:main" in entry_points
    outside = f"happy_server-{__version__}.data/data/"
    assert [f"{outside}share/man/man1/happy-server.1"] == [name for name in names if name.startswith(outside)]
    inside = {name.partition("/")[0] for name in names if not name.startswith(outside)}
    assert {"happy", f"happy_server-{__version__}.dist-info"} == inside


def test_serving_imports_nothing_that_only_some_runs_need() -> None:
    program = "import sys, happy.__main__, happy.serving, happy.adapters.light; print(*sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, check=True, capture_output=True, text=True
    )

    assert set() == HEAVY & set(found.stdout.split())
