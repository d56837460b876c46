"""Links to attachments in an object store, which the full server signs for whoever asks."""

import json
from collections.abc import AsyncIterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from threading import Thread

import pytest
import pytest_asyncio

from tests.attack.attacker import Attack, Target, read_until, request
from tests.attack.bystander import beside
from tests.attack.conftest import VARIABLES
from tests.support.environments import full_environment
from tests.support.object_store import run_object_store
from tests.support.server_process import Server

CONNECTIONS = 50
LONG = 60_000
"""Characters of a name; a small body holds no more."""

JSON = "Content-Type: application/json"


@pytest_asyncio.fixture
async def server(postgres_template: str, tmp_path: Path) -> AsyncIterator[Server]:
    """Its object store is never asked: a link is signed here."""
    with full_environment(tmp_path / "data", postgres_template) as made, run_object_store() as objects:
        variables = {**made.variables, **objects.variables(objects.new_bucket()), **VARIABLES}
        async with Server(tmp_path / "home", flavor="full", variables=variables) as running:
            yield running


def _session(target: Target) -> str:
    content = b'{"tag":"t","metadata":"m"}'
    with target.connection() as connection:
        token, length = f"Authorization: Bearer {target.token}", f"Content-Length: {len(content)}"
        connection.sendall(request("POST", "/v1/sessions", token, JSON, length, body=content))
        answer = read_until(connection, b'"seq"')
    return answer.partition(b'"id":"')[2].partition(b'"')[0].decode()


def _ask(target: Target, method: str, path: str, *bodies: object) -> None:
    """For links to files that nobody has uploaded, each another one; `#` is its number."""
    token = f"Authorization: Bearer {target.token}"
    numbers = count()

    def ask() -> None:
        while target.goes_on():
            with suppress(OSError), target.connection() as connection:
                while target.goes_on():
                    number = str(next(numbers))
                    content = "".join(map(json.dumps, bodies)).replace("#", number).encode()
                    length = f"Content-Length: {len(content)}"
                    connection.sendall(
                        request(method, path.replace("#", number), token, JSON, length, body=content)
                    )
                    read_until(connection, b"\r\n\r\n")

    threads = [Thread(target=ask, daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def links_to_downloads(target: Target) -> None:
    folder = f"sessions/{_session(target)}/attachments"
    _ask(target, "POST", f"/v1/{folder}/request-download", {"ref": f"{folder}/#.enc"})


def links_to_long_names(target: Target) -> None:
    folder = f"sessions/{_session(target)}/attachments"
    _ask(target, "POST", f"/v1/{folder}/request-download", {"ref": f"{folder}/#" + "%" * LONG})


def redirects_to_downloads(target: Target) -> None:
    _ask(target, "GET", f"/v1/sessions/{_session(target)}/attachments/#.enc")


def links_to_uploads(target: Target) -> None:
    path = f"/v1/sessions/{_session(target)}/attachments/request-upload"
    _ask(target, "POST", path, {"filename": "#", "size": 10_000_000})


@pytest.mark.services
@pytest.mark.parametrize(
    "attack",
    [links_to_downloads, links_to_long_names, redirects_to_downloads, links_to_uploads],
    ids=lambda attack: attack.__name__,
)
async def test_links_are_signed_without_others_waiting(server: Server, attack: Attack) -> None:
    (await beside(server, attack)).check(peak_mb=150)
