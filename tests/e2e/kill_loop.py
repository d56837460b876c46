"""Clients write while the server is killed (`kill -9`) and started again; nothing acknowledged may be lost.

`python -m tests.e2e.kill_loop --rounds 20 --seed 7` prints what it did and ends with 1 if something was lost.
"""

import argparse
import asyncio
import random
import shutil
import sqlite3
import sys
import tempfile
from pathlib import Path

from tests.e2e.kill_ledger import Ledger
from tests.e2e.kill_writers import Writer, metadata_writer, post_writer, socket_writer
from tests.e2e.new_server import new_server
from tests.e2e.program import options, verdict
from tests.support.api_client import ApiClient
from tests.support.server_process import Server, temporary_home

SESSIONS = 6
POST_WRITERS = 5
SOCKET_WRITERS = 5
METADATA_WRITERS = 3


async def run(server: Server, *, rounds: int, seed: int) -> tuple[Ledger, list[str]]:
    """Start the server, load and kill it for some rounds; what was acknowledged, and what is wrong now."""
    chance = random.Random(seed)
    await server.start()
    async with ApiClient.signed_in(server.url) as api:
        sessions = [(await api.create_session())["id"] for _ in range(SESSIONS)]
        ledger = Ledger(sessions)
        over = asyncio.Event()
        writers = [asyncio.create_task(writer(over)) for writer in _writers(api, ledger, chance)]
        problems: list[str] = []
        for number in range(1, rounds + 1):
            await asyncio.sleep(chance.uniform(0.2, 1.2))
            server.kill()
            problems += [f"round {number}: {found}" for found in _database_problems(server)]
            await asyncio.sleep(chance.choice([0, 0, 0.3]))
            await server.start()
        await asyncio.sleep(0.3)
        over.set()
        await asyncio.gather(*writers)
        problems += await ledger.problems(api)
    return ledger, problems


def _writers(api: ApiClient, ledger: Ledger, chance: random.Random) -> list[Writer]:
    def own() -> random.Random:
        return random.Random(chance.random())

    return [
        *(post_writer(api, ledger, own()) for _ in range(POST_WRITERS)),
        *(socket_writer(api, ledger, own()) for _ in range(SOCKET_WRITERS)),
        *(metadata_writer(api, ledger, sid) for sid in ledger.sessions[:METADATA_WRITERS]),
    ]


def _database_problems(server: Server) -> list[str]:
    """Check a copy of what the killed server left behind: looking must not do the recovery for it."""
    if server.flavor != "light":
        return []
    with tempfile.TemporaryDirectory() as folder:
        for file in server.database.parent.glob(server.database.name + "*"):
            shutil.copy(file, folder)
        connection = sqlite3.connect(Path(folder) / server.database.name)
        try:
            answer = connection.execute("PRAGMA integrity_check").fetchall()
        finally:
            connection.close()
    return [] if answer == [("ok",)] else [f"integrity_check: {answer}"]


def _arguments() -> argparse.Namespace:
    parser = options(__doc__, "tests.e2e.kill_loop")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--flavor", choices=["light", "full"], default="light")
    return parser.parse_args()


async def main() -> int:
    arguments = _arguments()
    async with new_server(arguments.flavor, temporary_home()) as server:
        try:
            ledger, problems = await run(server, rounds=arguments.rounds, seed=arguments.seed)
            if await server.stop() != 0:
                problems.append("SIGTERM: the exit code is not 0")
            problems += _database_problems(server)
        finally:
            server.kill()
    print(f"{arguments.rounds} kills, seed {arguments.seed}: {ledger.summary()}")
    if not problems:
        shutil.rmtree(server.home)
    return verdict(problems, server.log)


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
