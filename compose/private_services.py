"""PostgreSQL and Redis from installed programs, on this machine alone, while somebody needs them."""

import asyncio
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

from happy.domain.errors import StartupError

# Distributions keep PostgreSQL's own programs away from the path.
PROGRAMS = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)
SYSTEM_HOME = Path("/var/lib/happy-server-full")
SYSTEM_USER = "postgres"
DATABASE = "happy"
START_SECONDS = 60


class Postgres:
    """One data folder. PostgreSQL refuses to run as root, so for root it runs as the system's own user."""

    def __init__(self, programs: Path, folder: Path, password_file: Path, *, as_root: bool) -> None:
        self._programs = programs
        self._folder = folder
        self._password_file = password_file
        self._before = ["runuser", "-u", SYSTEM_USER, "--"] if as_root else []
        self._as_root = as_root

    def start(self) -> str:
        """The address of the database, which is made on the first start."""
        if not (self._folder / "PG_VERSION").exists():
            self._make()
        self.stop()  # one that a killed predecessor left behind
        port = _free_port()
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c unix_socket_directories="
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", self._folder, "-w", "-t", START_SECONDS, "-l", log, "-o", options, "start")
        server = f"postgresql://postgres:{self._password()}@127.0.0.1:{port}"
        asyncio.run(_make_database(f"{server}/postgres"))
        return f"{server}/{DATABASE}"

    def stop(self) -> None:
        with suppress(subprocess.CalledProcessError):  # it does not run
            self._run("pg_ctl", "-D", self._folder, "-m", "fast", "-w", "stop")

    def _make(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._as_root:
            shutil.chown(self._folder, SYSTEM_USER)
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as password:
            password.write(self._password() + "\n")
            password.flush()
            if self._as_root:
                shutil.chown(password.name, SYSTEM_USER)
            access = ["-A", "scram-sha-256", f"--pwfile={password.name}"]
            self._run("initdb", "-D", self._folder, "-U", "postgres", "-E", "UTF8", "--no-locale", *access)

    def _password(self) -> str:
        if not self._password_file.exists():
            with os.fdopen(os.open(self._password_file, os.O_CREAT | os.O_WRONLY, 0o600), "w") as file:
                file.write(secrets.token_hex(24))
        return self._password_file.read_text("ascii").strip()

    def _run(self, program: str, *arguments: object) -> None:
        subprocess.run(
            [*self._before, str(self._programs / program), *map(str, arguments)],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            start_new_session=True,
        )


@contextmanager
def private_postgres(home: Path) -> Iterator[str]:
    """The address of a database whose data is kept in `home`. Raises StartupError."""
    as_root = os.geteuid() == 0
    folder = _reachable(home) if as_root else home
    postgres = Postgres(
        _postgres_programs(), folder / "postgres", folder / "postgres-password.txt", as_root=as_root
    )
    try:
        yield postgres.start()
    finally:
        postgres.stop()


@contextmanager
def private_redis() -> Iterator[str | None]:
    """The address of an empty Redis; None where it is not installed. It holds nothing worth keeping."""
    program = shutil.which("redis-server")
    if program is None:
        yield None
        return
    port = _free_port()
    options = ["--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir", "/"]
    process = subprocess.Popen(
        [program, *options, "--loglevel", "warning"], stdout=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield f"redis://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _postgres_programs() -> Path:
    found = [Path(program).resolve().parent for program in [shutil.which("initdb")] if program]
    found += [match for pattern in PROGRAMS for match in sorted(Path("/").glob(pattern), key=_version)]
    usable = [folder for folder in found if (folder / "initdb").exists() and (folder / "pg_ctl").exists()]
    if not usable:
        raise StartupError(
            "no DATABASE_URL, no container engine, and PostgreSQL is not installed:"
            " on Debian or Ubuntu `sudo apt install postgresql redis-server`,"
            " on a Mac `brew install postgresql@17 redis`"
        )
    return usable[-1]


def _version(folder: Path) -> list[int]:
    digits = "".join(letter if letter.isdigit() else " " for letter in str(folder))
    return [int(number) for number in digits.split()]


def _reachable(home: Path) -> Path:
    """`home`, where the user of PostgreSQL can get into it; /root is closed to him on most systems."""
    looking: Sequence[str] = ["runuser", "-u", SYSTEM_USER, "--", "test", "-x", str(home)]
    if subprocess.run(looking, cwd="/", capture_output=True, check=False).returncode == 0:
        return home
    SYSTEM_HOME.mkdir(mode=0o711, parents=True, exist_ok=True)
    return SYSTEM_HOME


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def _make_database(server: str) -> None:
    connection = await asyncpg.connect(server)
    with suppress(asyncpg.DuplicateDatabaseError):
        await connection.execute(f"CREATE DATABASE {DATABASE}")
    await connection.close()
