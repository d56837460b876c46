"""A PostgreSQL of the test's own, to stop and start; its data outlives that."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import asyncpg

from compose.private_services import PROGRAMS, SYSTEM_USER
from happy.adapters.full.postgres.schema import prepare
from tests.support import services
from tests.support.server_process import free_port


class OwnPostgres:
    """It refuses to run as root, so for root it runs as the system's own user, in a folder of that user."""

    def __init__(self, programs: Path, folder: Path) -> None:
        self.port = free_port()
        self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._programs = programs
        self._folder = folder
        self._more: list[str] = []
        self.socket_folder = folder / "data"
        self._before = ["runuser", "-u", SYSTEM_USER, "--"] if os.geteuid() == 0 else []

    def make(self) -> None:
        if self._before:
            shutil.chown(self._folder, SYSTEM_USER)
        self._run("initdb", "-D", str(self._folder / "data"), "-U", "postgres", "-A", "trust", "--no-locale")

    def encrypt(self, certificate: Path, key: Path) -> None:
        """From the next start on it speaks TLS as well."""
        data = self._folder / "data"
        for source, name in ((certificate, "server.crt"), (key, "server.key")):
            shutil.copyfile(source, data / name)
            (data / name).chmod(0o600)
            if self._before:
                shutil.chown(data / name, SYSTEM_USER)
        self._more += ["-c", "ssl=on"]

    def trust(self, authority: Path) -> None:
        """From the next start on clients may show certificates of that authority."""
        shutil.copyfile(authority, self._folder / "data" / "clients.crt")
        self._more += ["-c", "ssl_ca_file=clients.crt"]

    def admit(self, *rules: str) -> None:
        """From the next start on who comes in how: lines of pg_hba.conf."""
        (self._folder / "data" / "pg_hba.conf").write_text("".join(f"{rule}\n" for rule in rules))

    def start(self) -> None:
        socket = f"-c unix_socket_directories={self.socket_folder}"
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 {socket} {' '.join(self._more)}"
        log = str(self._folder / "log")
        self._run("pg_ctl", "-D", str(self._folder / "data"), "-w", "-l", log, "-o", options, "start")

    def query(self, *statements: str) -> None:
        async def run() -> None:
            connection = await asyncpg.connect(self.url)
            for statement in statements:
                await connection.execute(statement)
            await connection.close()

        services.result_of(run())

    def stop(self, mode: str = "immediate") -> None:
        """`immediate` is a crash: nothing is finished, and the next start recovers."""
        with suppress(subprocess.CalledProcessError):  # it does not run
            self._run("pg_ctl", "-D", str(self._folder / "data"), "-m", mode, "-w", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._before, str(self._programs / program), *arguments],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            timeout=60,
        )


@contextmanager
def own_postgres() -> Iterator[OwnPostgres]:
    """Running, with the schema and no rows; the test is skipped where there are no programs to start."""
    found = [Path(program).resolve().parent for program in [shutil.which("initdb")] if program]
    found += [folder for pattern in PROGRAMS for folder in sorted(Path("/").glob(pattern))]
    if not found:
        services.missing("no PostgreSQL programs to start")
    folder = Path(tempfile.mkdtemp(prefix="happy-postgres-"))
    postgres = OwnPostgres(found[-1], folder)
    try:
        postgres.make()
        postgres.start()
        services.result_of(prepare(postgres.url))
        yield postgres
    finally:
        postgres.stop()
        shutil.rmtree(folder)
