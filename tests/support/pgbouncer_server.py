"""A PgBouncer of the tests' own, in front of their PostgreSQL, with few server sessions for many clients."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection
from urllib.parse import urlsplit

import pytest

from tests.support.server_process import free_port

SERVER_SESSIONS = 4
CONFIGURATION = """
[databases]
* = {server}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {sessions}
max_client_conn = {clients}
"""


@contextmanager
def own_pgbouncer(server: str, clients: int = 200) -> Iterator[int]:
    """Its port. It shares server sessions between transactions, and so between everybody."""
    program = shutil.which("pgbouncer", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        pytest.skip("NO PGBOUNCER: on Debian `apt install pgbouncer`")
    port = free_port()
    settings = CONFIGURATION.format(
        server=_connection(server), port=port, sessions=SERVER_SESSIONS, clients=clients
    )
    as_somebody = ["-u", "nobody"] if os.getuid() == 0 else []  # it refuses to run as root
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        (file := Path(folder) / "pgbouncer.ini").write_text(settings)
        process = subprocess.Popen([program, "-q", *as_somebody, str(file)], stderr=subprocess.DEVNULL)
        try:
            _wait(port)
            yield port
        finally:
            process.kill()
            process.wait()


def _connection(server: str) -> str:
    parts = urlsplit(server)
    password = f" password='{parts.password}'" if parts.password else ""
    return f"host={parts.hostname} port={parts.port or 5432} user={parts.username}{password}"


def _wait(port: int) -> None:
    for _ in range(1500):
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise RuntimeError("pgbouncer does not answer")
