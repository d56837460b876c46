"""The end-to-end tests on PostgreSQL and Redis: `python -m tests.e2e.on_full [options of pytest]`."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Sequence

from tests.e2e.cluster import REDIS, new_database

ONLY_LIGHT = ("tests/e2e/test_start.py", "tests/e2e/test_kill_loop.py")
"""About files in a data directory, or opening the database from outside."""

ELSEWHERE = tuple(f"tests/e2e/test_{name}.py" for name in ("cluster", "takeover", "health", "overload"))
"""On databases of their own, and part of every run."""


async def main(arguments: Sequence[str]) -> int:
    async with new_database() as url:
        given = {"HAPPY_TEST_FLAVOR": "full", "DATABASE_URL": url, "REDIS_URL": REDIS}
        given |= {"HANDY_MASTER_SECRET": "a secret for tests", "HAPPY_SHUTDOWN_SECONDS": "3"}
        ignored = [f"--ignore={path}" for path in ONLY_LIGHT + ELSEWHERE]
        command = [sys.executable, "-m", "pytest", "tests/e2e", *ignored, *arguments]
        running = await asyncio.to_thread(subprocess.run, command, env={**os.environ, **given}, check=False)
        return running.returncode


if __name__ == "__main__":
    sys.exit(asyncio.run(main(sys.argv[1:])))
