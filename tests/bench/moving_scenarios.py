"""The memory of the commands that move a whole database, which must not grow with it."""

import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.bench import random_messages
from tests.bench.commands import Command
from tests.bench.figures import Aim, Figure
from tests.bench.server import Run
from tests.bench.stored import filled
from tests.support.databases import new_database
from tests.support.rows import Rows
from tests.support.server_process import LIGHT_DATA
from tests.support.services import REDIS

SHARE = 2.5
"""Of the messages that `growth` has: a million of them are 400,000 here, and 1.2 GB."""

MESSAGE_BYTES = 3_000
LARGE, LARGE_BYTES = 20, 15_000_000
"""Messages as large as they may be, stored last: what is read before them says nothing of their size."""

ATTACHMENTS, ATTACHMENT_BYTES = 20, 10_000_000
MOST_MEMORY_MB = 150


async def memory(run: Run) -> list[Figure]:
    """Each command by itself; files are attachments of 10 MB."""
    count = int(run.messages / SHARE)

    async def fill(rows: Rows, account: str) -> None:
        await random_messages.add(rows, account, count, MESSAGE_BYTES, light=run.light)
        await random_messages.add(rows, account, LARGE, LARGE_BYTES, light=run.light, prefix="large")

    async with filled(run, fill) as (server, _, _):
        variables = {**server.environment(), LIGHT_DATA: str(server.database.parent)}
        await server.stop()
        files = server.database.parent / "files" if run.light else server.home / "files"
        _attach(files / "sessions" / "random-0" / "attachments")
        archive = server.home / "archive"
        figures = [await _run(run, variables, "backup", str(archive))]
        figures.append(await _run(run, variables, "verify", str(archive)))
        for arguments in (("restore", str(archive)), ("import", str(archive), "--yes")):
            async with _empty(run, server.home / arguments[0], variables) as empty:
                if arguments[0] == "import":
                    await Command(run.flavor, empty, "migrate").over
                figures.append(await _run(run, empty, *arguments))
        source = str(server.database.parent) if run.light else variables["DATABASE_URL"]
        async with _empty(run, server.home / "direct", variables) as empty:
            await Command(run.flavor, empty, "migrate").over
            direct = await _run(run, empty, "import", source, "--yes", "--files", str(files))
        return [*figures, direct]


async def _run(run: Run, variables: Mapping[str, str], *arguments: str) -> Figure:
    command = Command(run.flavor, variables, *arguments)
    await command.over
    name = f"{arguments[0]} of {arguments[1].partition('://')[0].rpartition('/')[2]}, {command.seconds:.0f} s"
    return Figure(name=name, value=command.peak_mb, unit="MB", aim=Aim(MOST_MEMORY_MB, at_least=False))


def _attach(folder: Path) -> None:
    folder.mkdir(parents=True)
    for number in range(ATTACHMENTS):
        (folder / f"{number}").write_bytes(secrets.token_bytes(ATTACHMENT_BYTES))


@asynccontextmanager
async def _empty(run: Run, folder: Path, variables: Mapping[str, str]) -> AsyncIterator[dict[str, str]]:
    """Another place of the flavor with the same master secret."""
    others = {**variables, "HOME": str(folder), "DATA_DIR": str(folder), LIGHT_DATA: str(folder / "data")}
    if run.light:
        yield {**others, "HANDY_MASTER_SECRET": _secret(variables)}
        return
    async with new_database() as url:
        yield {**others, "DATABASE_URL": url, "REDIS_URL": REDIS}


def _secret(variables: Mapping[str, str]) -> str:
    return Path(variables[LIGHT_DATA], "handy-master-secret.txt").read_text("utf-8").strip()
