"""An online backup: what it takes from those who write meanwhile, how long it lasts, and its memory."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median

from tests.bench import random_messages
from tests.bench.commands import Command
from tests.bench.figures import RATIO, Aim, Figure
from tests.bench.http_caller import connect
from tests.bench.http_scenarios import posts, session, token
from tests.bench.load import Load
from tests.bench.server import Run
from tests.bench.stored import filled
from tests.support.api_client import ApiClient
from tests.support.server_process import LIGHT_DATA

SHARE = 10
"""Of the messages that `growth` has: a million of them are 100,000 here, and 300 MB."""

MESSAGE_BYTES = 3_000
WRITERS = 8
TURN_SECONDS = 1.0
TURNS = 12
ORDERS = ((True, False, False, True), (False, True, True, False))
"""Beside the backup or not: what the machine does meanwhile falls on both alike."""

LEAST_RATIO = 0.9
MOST_MEMORY_MB = 150


async def beside_backup(run: Run) -> list[Figure]:
    """Writers in turns with a backup and with the same backup stopped, so that both meet the same machine."""
    async with _filled(run) as (port, api, variables, folder):
        alone = Command(run.flavor, variables, "backup", str(folder / "alone"))
        await alone.over
        ratios, slower = await _in_turns(run, port, api, Beside(run.flavor, variables, folder))
    size = run.messages // SHARE * MESSAGE_BYTES
    memory = Aim(MOST_MEMORY_MB, at_least=False)
    aim = Aim(LEAST_RATIO)
    name = f"{WRITERS} writers beside a backup"
    return [
        Figure(name=f"{name}, over without", value=median(ratios), unit=RATIO, aim=aim),
        Figure(name=f"{name}, p50 without over with", value=median(slower), unit=RATIO, aim=aim),
        Figure(name=f"a backup of {size // 1_000_000} MB", value=alone.seconds, unit="s"),
        Figure(name="its memory", value=alone.peak_mb, unit="MB", aim=memory),
    ]


class Beside:
    """Backups one after another, so that there is one in every turn that is to have one."""

    def __init__(self, flavor: str, variables: Mapping[str, str], folder: Path) -> None:
        self._arguments = (flavor, variables, "backup", str(folder / "beside"), "--yes")
        self._command: Command | None = None

    def go_on(self) -> None:
        if self._command is None or self._command.over.done():
            self._command = Command(*self._arguments)
        self._command.resume()

    def stop(self) -> None:
        assert self._command is not None
        self._command.pause()

    async def end(self) -> None:
        if self._command is not None:
            self._command.resume()
            await self._command.over


async def _in_turns(run: Run, port: int, api: ApiClient, backup: Beside) -> tuple[list[float], list[float]]:
    """Ratios of rates and of p50 of neighbouring turns."""
    rates, times = [], []
    for turn in range(TURNS):
        backup.go_on()
        found: dict[bool, list[Figure]] = {True: [], False: []}
        for beside in ORDERS[turn % 2]:
            (backup.go_on if beside else backup.stop)()
            found[beside].append(await _write(run, port, api))
        rates.append(_sum(found[True], "value") / _sum(found[False], "value"))
        times.append(_sum(found[False], "p50") / _sum(found[True], "p50"))
    await backup.end()
    return rates, times


def _sum(figures: list[Figure], field: str) -> float:
    return float(sum(getattr(figure, field) for figure in figures))


async def _write(run: Run, port: int, api: ApiClient) -> Figure:
    load = Load(Nobody(), TURN_SECONDS)
    ids = [await session(api) for _ in range(WRITERS)]
    callers = [await connect(load, port, posts(each, token(api), 1)) for each in ids]
    try:
        return await load.run(run.flavor, callers, unit="msg/s")
    finally:
        for caller in callers:
            caller.close()


class Nobody:
    def cpu_seconds(self) -> float:
        return 0.0


@asynccontextmanager
async def _filled(run: Run) -> AsyncIterator[tuple[int, ApiClient, dict[str, str], Path]]:
    count = run.messages // SHARE
    async with filled(
        run,
        lambda rows, account: random_messages.add(rows, account, count, MESSAGE_BYTES, light=run.light),
    ) as (server, api, _):
        variables = {**server.environment(), LIGHT_DATA: str(server.database.parent)}
        yield server.port, api, variables, server.home
