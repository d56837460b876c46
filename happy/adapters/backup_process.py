"""The process of one backup of a running server. It gets its job by a pipe, and ends when that is closed."""

import asyncio
import os
import pickle
import signal
import sys
import threading
from typing import Final

import msgspec
from msgspec import Struct

from happy.adapters.allocator import return_large_blocks
from happy.domain.errors import HappyError, StartupError
from happy.domain.progress import silent
from happy.domain.values import Millis
from happy.settings import Full, Light

MODULE: Final = "happy.adapters.backup_process"


class Job(Struct, frozen=True):
    """What to back up, where to, and the time that the backup is named by."""

    settings: Light | Full
    target: str
    now: Millis


class Done(Struct, frozen=True):
    """The name of the backup, its size in bytes, and what was left out of it, a line each."""

    name: str
    size: int
    warnings: list[str] = []


async def run(job: Job) -> Done:
    """Raises StartupError, HappyError, or OSError."""
    from happy.adapters import backups

    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    settings = job.settings.backups
    contents = backups.Contents(settings.with_files, settings.passphrase)
    made = await backups.backup(job.settings, job.target, job.now, contents, silent, checked=True)
    return Done(backups.name_of(job.settings, job.now), made.size, list(map(str, made.manifest.dangling)))


def main() -> int:
    """Prints the result, or one line that says what was wrong, and returns the exit code."""
    return_large_blocks()
    job = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the server that started this process
    threading.Thread(target=_end_with_server, daemon=True).start()
    try:
        done = asyncio.run(run(job))
    except (HappyError, StartupError) as error:
        cause = f": {error.__cause__}" if error.__cause__ else ""
        sys.stdout.write(" ".join(f"{error}{cause}".split()))
        return 1
    except OSError as error:
        sys.stdout.write(f"{error.filename or job.target}: {error.strerror or error}")
        return 1
    except asyncio.CancelledError:
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(done))
    return 0


def _end_with_server() -> None:
    os.read(sys.stdin.fileno(), 1)  # not through the buffer, whose lock would be held when Python ends
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())
