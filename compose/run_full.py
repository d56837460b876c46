"""`make run-full`: the full server, on services that are named, in containers, or started here for it alone.

What DATABASE_URL, REDIS_URL and S3_HOST name is used. Databases that are not named run in containers
(compose/services.yaml) where there is an engine for them, or else from installed programs; files go to a
local folder. `--private` does not look for a container engine.
"""

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import FrameType

from compose.containers import Containers
from compose.private_services import private_postgres, private_redis
from happy.adapters.light.secret import master_secret
from happy.domain.errors import StartupError

ROOT = Path(__file__).parents[1]
HOME = Path(os.environ.get("HAPPY_FULL_DATA_DIR") or "~/.happy/server-full").expanduser().absolute()
HAPPY = (sys.executable, "-m", "happy")


class Signals:
    """SIGINT and SIGTERM: passed on to the server once it runs, an orderly end before."""

    def __init__(self) -> None:
        self.server: subprocess.Popen[bytes] | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._receive)

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.server is None:
            self.ignore()
            raise SystemExit(128 + number)
        with suppress(ProcessLookupError):
            self.server.send_signal(number)

    def ignore(self) -> None:
        """While everything is stopped, which takes a moment and must not be left half done."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def main() -> int:
    signals = Signals()
    try:
        with ExitStack() as stack:
            stack.callback(signals.ignore)
            environment = {**os.environ, "HAPPY_FLAVOR": "full"}
            prepare_home(environment, stack)
            provide_services(environment, stack, look_for_engine="--private" not in sys.argv[1:])
            return run_server(environment, signals, stack)
    except (StartupError, OSError) as error:
        sys.stderr.write(f"run-full: {error}\n")
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd))
        sys.stderr.write(f"run-full: {command}: exit code {error.returncode}\n{error.stderr or ''}")
    return 1


def prepare_home(environment: dict[str, str], stack: ExitStack) -> None:
    """The folder with what is kept from one start to the next, for one of us at a time."""
    HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    lock = stack.enter_context((HOME / "lock").open("w"))
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StartupError(f"another `make run-full` uses {HOME}") from None
    if not environment.get("HANDY_MASTER_SECRET", "").strip():
        environment["HANDY_MASTER_SECRET"] = master_secret(HOME)
        say("master secret", f"in {HOME}")
    if not environment.get("S3_HOST", "").strip() and not environment.get("DATA_DIR", "").strip():
        environment["DATA_DIR"] = str(HOME)


def provide_services(environment: dict[str, str], stack: ExitStack, *, look_for_engine: bool) -> None:
    missing = [name for name in ("DATABASE_URL", "REDIS_URL") if not environment.get(name, "").strip()]
    containers = Containers.find() if missing and look_for_engine else None
    if containers is not None:
        say("services", "in containers, from compose/services.yaml")
        environment.update(stack.enter_context(containers.running(missing)))
        missing = []
    if "DATABASE_URL" in missing:
        environment["DATABASE_URL"] = stack.enter_context(private_postgres(HOME))
    if "REDIS_URL" in missing:
        redis = stack.enter_context(private_redis())
        environment.update({"REDIS_URL": redis} if redis else {})
    for title, name in (("PostgreSQL", "DATABASE_URL"), ("Redis", "REDIS_URL"), ("files", "S3_HOST")):
        say(title, place(environment, name, missing))


def place(environment: dict[str, str], name: str, missing: list[str]) -> str:
    """Where a service is, in words; addresses that were given may hold passwords."""
    address = environment.get(name, "").strip()
    if name == "S3_HOST":
        return f"in the object store at {address}" if address else f"in {environment['DATA_DIR']}/files"
    if not address:
        return "none: redis-server is not installed, and one process alone does without"
    return f"at {address.rpartition('@')[2].removeprefix('redis://').partition('?')[0]}" + (
        ", started for this server" if name in missing else ""
    )


def run_server(environment: dict[str, str], signals: Signals, stack: ExitStack) -> int:
    """Migrate, then serve until a signal. The server ends before anything it uses does."""
    subprocess.run([*HAPPY, "migrate"], cwd=ROOT, env=environment, check=True, start_new_session=True)
    server = stack.enter_context(running([*HAPPY, "serve"], environment))
    signals.server = server
    return server.wait()


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """In a session of its own: Ctrl-C reaches it through us alone, and so only once."""
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
            process.wait()


def say(title: str, what: str) -> None:
    sys.stdout.write(f"  {title:<14} {what}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
