"""Restores that would do harm are refused, secrets travel sealed, killed commands leave nothing half done."""

import asyncio
import itertools
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import httpx
import pytest

from happy.adapters.backups import verify
from tests.support.api_client import ApiClient, b64
from tests.support.commands import command
from tests.support.environments import SECRET, Environment, OpenEnvironment, light_environment
from tests.support.server_process import REPOSITORY, Server

pytestmark = pytest.mark.slow

WRITERS = 8
KILLS = int(os.environ.get("HAPPY_KILLS", "12"))
"""How often a backup is killed, and how often a restore."""

LISTS = [
    "/v1/sessions",
    "/v1/machines",
    "/v1/artifacts",
    "/v1/kv",
    "/v1/account/profile",
    "/v1/account/settings",
    "/v1/push-tokens",
    "/v1/connect/tokens",
    "/v1/feed",
]


class Person:
    """An account with something of everything, seen as its devices see it."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.session = ""
        self.file = ""

    async def fill(self) -> None:
        api = self.api
        self.session = (await api.create_session(agent_state="s", data_encryption_key=b64(b"k" * 40)))["id"]
        await api.post_messages(self.session, [f"{number} ü\n" for number in range(30)])
        machine = await api.register_machine(daemon_state="d")
        await api.post(f"/v1/access-keys/{self.session}/{machine['id']}", {"data": "key"})
        blob = b64(b"\0\xff" * 20)
        await api.post(
            "/v1/artifacts",
            {"id": str(uuid.uuid4()), "header": blob, "body": blob, "dataEncryptionKey": blob},
        )
        await api.post("/v1/kv", {"mutations": [{"key": "one", "value": blob, "version": -1}]})
        await api.post("/v1/push-tokens", {"token": f"ExponentPushToken[{self.session}]"})
        await api.post("/v1/connect/openai/register", {"token": "vendor secret"})
        await api.post("/v1/account/settings", {"settings": blob, "expectedVersion": 0})
        await self._attach(b"attached" * 1000)

    async def _attach(self, content: bytes) -> None:
        path = f"/v1/sessions/{self.session}/attachments/request-upload"
        offered = await self.api.post(path, {"filename": "a.enc", "size": len(content)})
        self.file = offered["ref"]
        octets = {"Content-Type": "application/octet-stream"}
        sent = await self.api.request("PUT", offered["uploadUrl"], content=content, headers=octets)
        assert 200 == sent.status_code, sent.text

    async def seen(self) -> dict[str, Any]:
        """Every list, every message, and the attached file."""
        lists = {path: await self.api.get(path) for path in LISTS}
        lists["/v1/account/profile"].pop("timestamp", None)
        lists["messages"] = await self.api.messages(self.session)
        path = f"/v1/sessions/{self.session}/attachments/request-download"
        url = (await self.api.post(path, {"ref": self.file}))["downloadUrl"]
        lists["file"] = (await self.api.request("GET", httpx.URL(url).raw_path.decode())).content
        return lists


@asynccontextmanager
async def writing(api: ApiClient) -> AsyncIterator[dict[str, list[str]]]:
    """Writers that each fill a session; what was acknowledged to each of them, by session."""
    acknowledged: dict[str, list[str]] = {}
    ended = asyncio.Event()

    async def write(session: str) -> None:
        for number in itertools.count():
            if ended.is_set():
                return
            for message in await api.post_messages(session, [f"message {number}"]):
                acknowledged[session].append(message["id"])

    sessions = [(await api.create_session())["id"] for _ in range(WRITERS)]
    acknowledged.update({session: [] for session in sessions})
    tasks = [asyncio.create_task(write(session)) for session in sessions]
    try:
        yield acknowledged
    finally:
        ended.set()
        await asyncio.gather(*tasks)


def server_of(environment: Environment, home: Path) -> Server:
    return Server(home, flavor=environment.flavor, variables=environment.variables)


async def ids_of(api: ApiClient, session: str) -> list[str]:
    return [message["id"] for message in await api.messages(session)]


async def test_an_environment_with_accounts_is_refused(environment: Environment, tmp_path: Path) -> None:
    archive = tmp_path / "backup.tar.zst"
    async with server_of(environment, tmp_path / "one") as server, ApiClient.signed_in(server.url):
        assert 0 == (await command(environment, "backup", str(archive))).code

    refused = await command(environment, "restore", str(archive))

    assert 1 == refused.code
    assert "has accounts: restore into" in refused.err


async def test_a_wrong_master_secret_is_named_before_anything_is_written(
    environment: Environment, tmp_path: Path
) -> None:
    archive, empty = tmp_path / "backup.tar.zst", tmp_path / "empty"
    async with server_of(environment, tmp_path / "one") as server, ApiClient.signed_in(server.url):
        assert 0 == (await command(environment, "backup", str(archive))).code
    other = light_environment(empty)
    other.variables["HANDY_MASTER_SECRET"] = "quite another secret for tests"

    refused = await command(other, "restore", str(archive))

    assert 1 == refused.code
    assert "the backup was made with master secret" in refused.err
    assert SECRET not in refused.err
    assert not empty.exists()


async def test_the_secret_travels_sealed_with_a_passphrase(tmp_path: Path) -> None:
    """As on a server at home, whose secret is a file in the data directory."""
    archive = tmp_path / "backup.tar.zst"
    one = Environment("light", {"HAPPY_SERVER_LIGHT_DATA_DIR": str(tmp_path / "data")})
    async with server_of(one, tmp_path / "one") as server, ApiClient.signed_in(server.url) as api:
        one.variables["HAPPY_BACKUP_PASSPHRASE"] = "correct horse"
        assert 0 == (await command(one, "backup", str(archive), "--with-secret")).code
    secret = (tmp_path / "data" / "handy-master-secret.txt").read_text()
    assert secret.encode() not in archive.read_bytes()
    other = Environment("light", {"HAPPY_SERVER_LIGHT_DATA_DIR": str(tmp_path / "elsewhere")})

    without = await command(other, "restore", str(archive))
    other.variables["HAPPY_BACKUP_PASSPHRASE"] = "wrong"
    wrong = await command(other, "restore", str(archive))
    other.variables["HAPPY_BACKUP_PASSPHRASE"] = "correct horse"
    right = await command(other, "restore", str(archive))

    assert (1, 1, 0) == (without.code, wrong.code, right.code), (without, wrong, right)
    assert "set HAPPY_BACKUP_PASSPHRASE" in without.err
    async with (
        server_of(other, tmp_path / "two") as server,
        ApiClient(server.url, token=api.token) as signed_in,
    ):
        await signed_in.get("/v1/account/profile")


async def killed(environment: Environment, chance: Random, longest: float, *arguments: str) -> int:
    """Run the command and kill it at some moment; its exit code, negative if it was killed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "happy", "--flavor", environment.flavor, *arguments),
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin", **environment.variables},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await asyncio.wait_for(process.wait(), chance.uniform(0, longest))
    except TimeoutError:
        process.send_signal(signal.SIGKILL)
    return await process.wait()


async def fill(api: ApiClient) -> None:
    """Enough that a backup and a restore take a while."""
    for _ in range(20):
        session = await api.create_session()
        await api.post_messages(session["id"], ["x" * 5_000] * 100)


async def sessions_of(api: ApiClient) -> list[dict[str, Any]]:
    """Without whether they are active: many kills take longer than a silent session stays so."""
    rows = (await api.get("/v1/sessions"))["sessions"]
    return [{name: value for name, value in row.items() if name != "active"} for row in rows]


async def seconds_of(environment: Environment, *arguments: str) -> float:
    """How long the command takes."""
    began = asyncio.get_running_loop().time()
    ended = await command(environment, *arguments)
    assert 0 == ended.code, ended
    return asyncio.get_running_loop().time() - began


async def require_all(environment: Environment, archive: Path, again: Path) -> None:
    """The environment has every row of the archive, but for the audit log, which has one of the restore."""
    assert 0 == (await command(environment, "backup", str(again), "--yes")).code
    (_, expected), (_, found) = [await asyncio.to_thread(verify, path) for path in (archive, again)]
    tables = expected.tables.keys() - {"happy_AuditEntry"}
    assert [] == [name for name in tables if expected.tables[name] != found.tables[name]]


@pytest.mark.timeout(120 + 60 * KILLS)
async def test_killed_backups_leave_nothing_that_passes_for_whole(
    environment: Environment, tmp_path: Path
) -> None:
    chance, folder = Random(5), tmp_path / "backups"
    folder.mkdir()
    async with server_of(environment, tmp_path / "one") as server, ApiClient.signed_in(server.url) as api:
        await fill(api)
        longest = await seconds_of(environment, "backup", str(folder / "whole.tar.zst"))
        for number in range(KILLS):
            target = folder / f"{number}.tar.zst"
            code = await killed(environment, chance, longest, "backup", str(target))
            assert target.exists() or code != 0
            if target.exists():
                await asyncio.to_thread(verify, target)

    assert 0 == (await command(environment, "backup", str(folder / "last.tar.zst"))).code
    assert [] == [path.name for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.timeout(120 + 60 * KILLS)
async def test_killed_restores_leave_nothing_that_passes_for_whole_and_can_be_repeated(
    environment: Environment, open_environment: OpenEnvironment, tmp_path: Path
) -> None:
    chance, whole = Random(6), tmp_path / "whole.tar.zst"
    async with server_of(environment, tmp_path / "one") as server, ApiClient.signed_in(server.url) as api:
        await fill(api)
        assert 0 == (await command(environment, "backup", str(whole))).code
        expected = await sessions_of(api)
    with open_environment() as other:
        longest = await seconds_of(other, "restore", str(whole))

    with ExitStack() as stack:
        other = stack.enter_context(open_environment())
        for _ in range(KILLS):
            if await killed(other, chance, longest, "restore", str(whole)) == 0:  # it was quicker
                other = stack.enter_context(open_environment())
                continue
            again = await command(other, "accounts", "list", "--json")
            if again.code == 0 and again.json != []:  # killed when all was done
                await require_all(other, whole, tmp_path / "again.tar.zst")
                other = stack.enter_context(open_environment())
        assert 0 == (await command(other, "restore", str(whole))).code
        async with (
            server_of(other, tmp_path / "other") as server,
            ApiClient(server.url, token=api.token) as restored,
        ):
            assert expected == await sessions_of(restored)
