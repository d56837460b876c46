"""Commands of `happy-server` as processes of their own, beside the server that a test runs.

listed = await command(environment, "accounts", "list", "--json")
assert [] == listed.json
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tests.support.environments import Environment

REPOSITORY = Path(__file__).parents[2]
TIMEOUT = 180.0


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        assert self.code == 0, self
        return msgspec.json.decode(self.out)


async def command(environment: Environment, *arguments: str) -> Ended:
    """Run the command to its end, without a terminal."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "happy", "--flavor", environment.flavor, *arguments),
        cwd=REPOSITORY,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(REPOSITORY), **environment.variables},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(TIMEOUT):
        out, err = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())
