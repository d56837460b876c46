"""A secret that is lost, emptied or another one: the server says so instead of signing everybody out."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.api_client import ApiClient
from tests.support.server_process import REPOSITORY, Server

pytestmark = pytest.mark.slow

FLAG = "--sign-everybody-out"


def command(server: Server, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """One that ends by itself, or has to."""
    return subprocess.run(
        [sys.executable, "-m", "happy", *arguments, "--flavor", server.flavor],
        cwd=REPOSITORY,
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(server.home),
            "PORT": str(server.port),
            **server.variables,
            **variables,
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def refused(server: Server, **variables: str) -> str:
    ended = command(server, "serve", **variables)
    assert (1, 1) == (ended.returncode, ended.stderr.count("\n")), ended
    return ended.stderr


async def status(server: Server, token: str | None) -> int:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        answer = await client.get(
            f"{server.url}/v1/account/profile", headers={"Authorization": f"Bearer {token}"}
        )
    return answer.status_code


@pytest.mark.parametrize("left", [None, b"", b" \n"], ids=["gone", "empty", "blank"])
async def test_a_lost_secret_file_does_not_sign_everybody_out(tmp_path: Path, left: bytes | None) -> None:
    async with Server(tmp_path) as server:
        async with ApiClient.signed_in(server.url) as api:
            token = api.token
        await server.stop()
        file = server.database.with_name("handy-master-secret.txt")
        secret = file.read_bytes()
        file.unlink() if left is None else file.write_bytes(left)
        said = refused(server)
        assert str(file) in said
        assert "restore it from a backup" in said
        assert f"`happy-server new-secret {FLAG}`" in said
        assert left == (file.read_bytes() if file.exists() else None)

        file.write_bytes(secret)
        await server.start()
        assert 200 == await status(server, token)


async def test_another_secret_file_than_the_databases_is_refused(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        async with ApiClient.signed_in(server.url):
            pass
        await server.stop()
        file = server.database.with_name("handy-master-secret.txt")
        file.write_text("the secret of another backup")

        said = refused(server)
        assert f"{file} holds another master secret than the database was used with" in said
        assert "of another backup" not in said


async def test_a_changed_variable_with_the_secret_is_refused(own_server: Server) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        token = api.token
    await own_server.stop()
    said = refused(own_server, HANDY_MASTER_SECRET="a pasted secret that differs")

    assert "HANDY_MASTER_SECRET holds another master secret than the database was used with" in said
    assert "pasted" not in said
    await own_server.start()
    assert 200 == await status(own_server, token)


async def test_beginning_anew_with_another_secret_is_a_command(own_server: Server) -> None:
    async with ApiClient.signed_in(own_server.url) as api:
        token = api.token
        await api.post("/v1/connect/openai/register", {"token": "sealed"})
    await own_server.stop()
    own_server.variables["HANDY_MASTER_SECRET"] = "another secret for tests"

    asked = command(own_server, "new-secret")
    assert (1, "happy-server: nothing was done: add --yes to do it without a prompt\n") == (
        asked.returncode,
        asked.stderr,
    )
    done = command(own_server, "new-secret", FLAG)
    assert (0, "") == (done.returncode, done.stderr)
    assert "Every device has to sign in again" in done.stdout

    await own_server.start()
    assert 401 == await status(own_server, token)
    async with ApiClient.signed_in(own_server.url) as api:
        assert {"tokens": []} == await api.get("/v1/connect/tokens")


async def test_a_new_secret_file_keeps_the_one_before(tmp_path: Path) -> None:
    async with Server(tmp_path) as server:
        async with ApiClient.signed_in(server.url):
            pass
        await server.stop()
        file = server.database.with_name("handy-master-secret.txt")
        before = file.read_text()

        assert 0 == command(server, "new-secret", FLAG).returncode
        assert before != file.read_text()
        (kept,) = file.parent.glob("handy-master-secret.txt.before-*")
        assert before == kept.read_text()
        await server.start()
