"""The running server backs up by itself, goes on when that fails, and among replicas one does it."""

import asyncio
import signal
from pathlib import Path

import httpx
import pytest

from happy.adapters.backups import verify
from tests.support.cluster import replicas_on
from tests.support.databases import new_database
from tests.support.environments import Environment
from tests.support.server_process import Server, free_port
from tests.support.until import until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SECONDS = 90.0
"""A backup of a killed server is taken up after a minute, when its claim has ended."""


def server_of(environment: Environment, home: Path, target: Path, **variables: str) -> Server:
    port = {"METRICS_ENABLED": "true", "METRICS_PORT": str(free_port())}
    backups = {"HAPPY_BACKUP_DIR": str(target), "HAPPY_BACKUP_EVERY": "2s", **variables}
    return Server(home, flavor=environment.flavor, variables={**environment.variables, **port, **backups})


def whole(folder: Path) -> list[Path]:
    return sorted(folder.glob("happy-*.tar.zst"))


def begun(folder: Path) -> list[Path]:
    return list(folder.glob(".happy-*"))


async def get(server: Server, path: str, *, private: bool = False) -> httpx.Response:
    port = server.variables["METRICS_PORT"] if private else server.port
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        return await client.get(f"http://127.0.0.1:{port}{path}", timeout=30)


async def test_the_server_backs_up_keeps_the_last_ones_and_shows_it(
    environment: Environment, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    async with server_of(environment, tmp_path / "home", folder, HAPPY_BACKUP_KEEP="1,0,0") as server:
        await until(lambda: whole(folder), SECONDS)
        (first,) = whole(folder)
        await until(lambda: whole(folder) not in ([], [first]), SECONDS)
        await until(lambda: first not in whole(folder), SECONDS)
        private = (await get(server, "/health", private=True)).json()["backup"]
        metrics = (await get(server, "/metrics", private=True)).text
        assert 0 == await server.stop()

    header, _ = await asyncio.to_thread(verify, whole(folder)[-1])
    assert header.secret_fingerprint
    assert 0 == private["failures"]
    assert 1_700_000_000_000 < private["madeAt"]
    assert 'backup_failures_total{app="happy-server"} 0.0' in metrics
    assert "backup_last_success_timestamp_seconds" in metrics
    assert [] == begun(folder)
    assert "backup made" in server.log_text()


async def test_a_backup_that_cannot_be_written_is_one_line_and_the_server_goes_on(
    environment: Environment, tmp_path: Path
) -> None:
    file = tmp_path / "no-folder"
    file.write_text("something else")
    async with server_of(environment, tmp_path / "home", file / "backups") as server:
        await until(lambda: "no backup was made for" in server.log_text(), SECONDS)
        health = await get(server, "/health")

    assert (200, "overdue") == (health.status_code, health.json()["backup"])
    failures = [line for line in server.log_text().splitlines() if "backup failed" in line]
    assert f"backup failed: {file}/backups: Not a directory; next attempt in" in failures[0]
    assert "Traceback" not in server.log_text()


async def test_a_killed_server_leaves_no_process_and_nothing_that_passes_for_whole(
    environment: Environment, tmp_path: Path
) -> None:
    folder = tmp_path / "backups"
    folder.mkdir()
    server = server_of(environment, tmp_path / "home", folder)
    await server.start()
    await until(lambda: begun(folder), SECONDS)
    server.kill()
    for path in whole(folder):
        await asyncio.to_thread(verify, path)

    before = len(whole(folder))
    async with server:
        await until(lambda: len(whole(folder)) > before, SECONDS)
        await until(lambda: len(begun(folder)) <= 1, SECONDS)  # that of a next one
        assert 0 == await server.stop()
    await until(lambda: not begun(folder), SECONDS)


@pytest.mark.services
async def test_among_replicas_one_backs_up_and_another_takes_over_when_it_dies(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    every = {"HAPPY_BACKUP_DIR": str(folder), "HAPPY_BACKUP_EVERY": "20s", "HAPPY_BACKUP_KEEP": "1,1,1"}
    async with new_database() as url, replicas_on(url, tmp_path, 2, variables=every) as replicas:
        await until(lambda: whole(folder), SECONDS)
        await until(lambda: any("backup made" in replica.log_text() for replica in replicas), SECONDS)
        made = [replica for replica in replicas if "backup made" in replica.log_text()]
        assert 1 == len(made)
        (other,) = [replica for replica in replicas if replica is not made[0]]
        assert made[0].process is not None
        made[0].process.send_signal(signal.SIGSTOP)  # it neither ends nor goes on
        made[0].kill()
        await until(lambda: "backup made" in other.log_text(), 2 * SECONDS)
