"""The container image that `make image` has built, started as people start it: its own command and user."""

import json
import os
import shlex
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import httpx
import pytest
from nacl.signing import SigningKey

from tests.support.api_client import ApiClient
from tests.support.databases import new_database
from tests.support.environments import SECRET
from tests.support.object_store import ObjectStore, run_object_store
from tests.support.server_process import free_port
from tests.support.services import REDIS
from tests.support.until import until

IMAGE = os.environ.get("HAPPY_TEST_IMAGE", "")
"""Its name ends with the flavor and the architecture: `happy-server:light-amd64`."""

ENGINE = shlex.split(os.environ.get("HAPPY_TEST_ENGINE", "docker"))
FLAVOR = "full" if ":full-" in IMAGE else "light"
ARCHITECTURE = IMAGE.rpartition("-")[2]
START_SECONDS = 300
"""Programs of another processor are translated: on a busy machine a full server was ready after 150 s."""

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
pytestmark = [
    pytest.mark.skipif(not IMAGE, reason="no image is named: make image"),
    pytest.mark.slow,
    pytest.mark.timeout(900),
    *([pytest.mark.services] if FLAVOR == "full" else []),
]


def engine(*arguments: str) -> str:
    ended = subprocess.run([*ENGINE, *arguments], check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.strip()


class Container:
    """One container on the network of this machine; what it writes stays until it is removed."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        settings = {"PORT": str(port), "METRICS_ENABLED": "false", **variables}
        options = [f"--env={name}={value}" for name, value in settings.items()]
        options += ["--network=host", "--no-healthcheck", f"--platform=linux/{ARCHITECTURE}"]
        self.name = engine("create", *options, IMAGE)

    async def start(self) -> None:
        engine("start", self.name)
        async with httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=5) as http:
            await until(lambda: healthy(http), timeout=START_SECONDS, what=self.url)

    def run(self, *command: str) -> str:
        """What a command prints that is run inside, as the image's user."""
        return engine("exec", self.name, *command)

    def stop(self) -> int:
        """The exit code after SIGTERM."""
        engine("stop", "-t", "60", self.name)
        return int(engine("inspect", "--format={{.State.ExitCode}}", self.name))

    def remove(self) -> None:
        engine("rm", "--force", "--volumes", self.name)


async def healthy(http: httpx.AsyncClient) -> bool:
    try:
        return (await http.get("/health")).status_code == 200
    except httpx.TransportError:
        return False


def health_check() -> list[str]:
    """The command by which an engine judges a container; docker and podman list it differently."""
    (image,) = json.loads(engine("image", "inspect", IMAGE))
    found: dict[str, Any] = image.get("Healthcheck") or image["Config"]["Healthcheck"]
    kind, *command = found["Test"]
    assert kind == "CMD"
    return command


@pytest.fixture
def object_store() -> Iterator[ObjectStore]:
    with run_object_store() as store:
        yield store


@pytest.fixture
async def container(request: pytest.FixtureRequest) -> AsyncIterator[Container]:
    """Light on nothing at all; full on a database without tables, Redis, and an object store."""
    if FLAVOR == "light":
        made = Container({})
        yield made
        made.remove()
        return
    store: ObjectStore = request.getfixturevalue("object_store")
    async with new_database(migrated=False) as url:
        made = Container(
            {
                "DATABASE_URL": url,
                "REDIS_URL": REDIS,
                "HANDY_MASTER_SECRET": SECRET,
                **store.variables(store.new_bucket()),
            }
        )
        yield made
        made.remove()


async def test_a_container_serves_ends_in_order_and_still_has_everything_afterwards(
    container: Container,
) -> None:
    key, content = SigningKey.generate(), os.urandom(100_000)
    await container.start()
    container.run(*health_check())
    async with ApiClient.signed_in(container.url, key=key) as api:
        session = (await api.create_session())["id"]
        await api.post_messages(session, ["before"])
        path = f"/v1/sessions/{session}/attachments/request-upload"
        offer = await api.post(path, {"filename": "x", "size": len(content)})
        await upload(api, offer, content)
    assert 0 == container.stop()
    await container.start()
    async with ApiClient.signed_in(container.url, key=key) as api:
        await api.post_messages(session, ["after"])
        path = f"/v1/sessions/{session}/attachments/request-download"
        fetched = await api.request("GET", (await api.post(path, {"ref": offer["ref"]}))["downloadUrl"])

        assert ["before", "after"] == [message["content"]["c"] for message in await api.messages(session)]
        assert content == fetched.content
    assert 0 == container.stop()


async def upload(api: ApiClient, offer: dict[str, Any], content: bytes) -> None:
    if offer["method"] == "PUT":
        octets = {"Content-Type": "application/octet-stream"}
        done = await api.request("PUT", offer["uploadUrl"], content=content, headers=octets)
    else:
        async with httpx.AsyncClient(trust_env=False) as http:
            done = await http.post(
                offer["uploadUrl"], data=offer["formFields"], files={"file": ("blob", content)}
            )
    assert done.status_code < 300, done.text


async def test_it_runs_without_rights_and_backs_up(container: Container) -> None:
    await container.start()

    assert "10001" == container.run("id", "-u")
    assert "700" == container.run("stat", "--format=%a", "/data")
    assert MACHINES[ARCHITECTURE] == container.run("uname", "-m")
    assert "up to date" in container.run("happy-server", "schema-check")
    container.run("happy-server", "backup", "/data/backup.tar.zst")
    container.run("happy-server", "verify", "/data/backup.tar.zst")
    # Pictures are scaled by a library in C, which is loaded when the first one arrives.
    container.run("python", "-c", "from PIL import Image; Image.new('RGB', (9, 9)).resize((3, 3)).tobytes()")
