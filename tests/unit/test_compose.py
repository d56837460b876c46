"""The container files, as far as they can be judged without a container engine."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from compose.containers import PLACES

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "compose"
STACKS = sorted(FOLDER.glob("*.yaml"))
SETTINGS = {
    name
    for module in (ROOT / "happy" / "settings").glob("*.py")
    for name in re.findall(r'"([A-Z][A-Z0-9_]+)"', module.read_text("utf-8"))
}
# What the documentation of the other images names.
THEIRS = {"POSTGRES_USER", "POSTGRES_PASSWORD", "POSTGRES_DB", "MINIO_ROOT_USER", "MINIO_ROOT_PASSWORD"}
OURS_TO_ASK_FOR = SETTINGS | {"POSTGRES_PASSWORD"}
MAJOR_VERSION = re.compile(r"\S+:(\d|RELEASE\.\d{4}-)\S*|happy-server:(light|full)")
stacks = pytest.mark.parametrize("stack", STACKS, ids=lambda path: path.name)


def services(stack: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(stack.read_text("utf-8"))["services"]
    return found


def test_there_is_a_stack_for_every_purpose() -> None:
    names = {stack.name for stack in STACKS}

    assert names == {"services.yaml", "light.yaml", "full.yaml", "full-two-replicas.yaml"}


@stacks
def test_every_variable_means_something(stack: Path) -> None:
    set_there = {name for service in services(stack).values() for name in service.get("environment", {})}
    asked_for = set(re.findall(r"\$\{(\w+)", stack.read_text("utf-8")))

    assert set() == set_there - SETTINGS - THEIRS
    assert set() == asked_for - OURS_TO_ASK_FOR


@stacks
def test_images_are_pinned_to_a_major_version(stack: Path) -> None:
    images = [service["image"] for service in services(stack).values()]

    assert [] == [image for image in images if not MAJOR_VERSION.fullmatch(image)]


@stacks
def test_what_is_built_and_mounted_exists(stack: Path) -> None:
    volumes = yaml.safe_load(stack.read_text("utf-8")).get("volumes", {})
    for service in services(stack).values():
        if "build" in service:
            context = FOLDER / service["build"]["context"]
            assert (context / service["build"]["dockerfile"]).is_file()
            assert (ROOT / "requirements" / f"{service['build']['args']['FLAVOR']}.lock").is_file()
        for source in (volume.partition(":")[0] for volume in service.get("volumes", [])):
            assert (FOLDER / source).is_file() if source.startswith(".") else source in volumes


@stacks
def test_whatever_keeps_running_is_waited_for_and_ends_in_order(stack: Path) -> None:
    found = services(stack)
    for name, service in found.items():
        needed = service.get("depends_on", {})
        assert set() == needed.keys() - found.keys()
        assert all(need["condition"] == "service_healthy" for need in needed.values())
        if "build" in service or "postgres" in service["image"]:
            assert service["stop_grace_period"], name
        if "build" not in service and "profiles" not in service:  # our own image has its check in it
            assert service["healthcheck"]["test"], name


def test_replicas_do_not_differ() -> None:
    found = services(FOLDER / "full-two-replicas.yaml")

    assert found["server-a"] == found["server-b"]
    assert "server-a:3005 server-b:3005" in (FOLDER / "Caddyfile").read_text("utf-8")


def test_services_for_this_machine_are_closed_to_others_and_where_they_are_looked_for() -> None:
    found = services(FOLDER / "services.yaml")
    ports = [port for service in found.values() for port in service.get("ports", [])]

    assert all(port.startswith("127.0.0.1:") for port in ports)
    for name, address in PLACES.values():
        published = found[name]["ports"][0].rpartition(":")[0]
        assert f"{published}" in address


def test_the_image_does_not_run_as_root_and_copies_what_exists() -> None:
    text = (FOLDER / "Dockerfile").read_text("utf-8")
    sources = re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE)

    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.MULTILINE)
    assert "HEALTHCHECK" in text
    for flavor in ("light", "full"):
        assert all((ROOT / source.replace("${FLAVOR}", flavor)).exists() for source in sources)
    kept = re.findall(r"^!(\S+)", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE)
    assert {source.split("/")[0] for source in sources} == set(kept)


@stacks
def test_docker_understands_it(stack: Path) -> None:
    docker = shutil.which("docker")
    version = [docker or "false", "compose", "version"]
    if docker is None or subprocess.run(version, capture_output=True, check=False).returncode:
        pytest.skip("no docker compose; it needs no engine for this")
    environment = {**os.environ, "POSTGRES_PASSWORD": "x", "HANDY_MASTER_SECRET": "x"}
    command = [docker, "compose", "--file", str(stack), "config", "--quiet"]

    subprocess.run(command, env=environment, check=True)
