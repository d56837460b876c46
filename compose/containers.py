"""PostgreSQL, Redis and an object store from compose/services.yaml, while somebody needs them."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

SERVICES = Path(__file__).with_name("services.yaml")
PROBE_SECONDS = 10
# What compose/services.yaml says, in the words of our settings; tests/unit/test_compose.py compares them.
PLACES: Mapping[str, tuple[str, str]] = {
    "DATABASE_URL": ("postgres", "postgresql://happy:happy@127.0.0.1:54320/happy"),
    "REDIS_URL": ("redis", "redis://127.0.0.1:63790"),
}


class Containers:
    """A container engine that runs and understands compose files."""

    def __init__(self, command: Sequence[str]) -> None:
        self._command = [*command, "--file", str(SERVICES)]

    @classmethod
    def find(cls) -> "Containers | None":
        for engine in ("docker", "podman"):
            if shutil.which(engine) and _works([engine, "info"]) and _works([engine, "compose", "version"]):
                return cls([engine, "compose"])
        return None

    @contextmanager
    def running(self, variables: Sequence[str]) -> Iterator[dict[str, str]]:
        """Settings for the services behind `variables`. Afterwards they are stopped; their data stays."""
        services = [PLACES[name][0] for name in variables]
        try:
            subprocess.run([*self._command, "up", "--detach", "--wait", *services], check=True)
            yield {name: PLACES[name][1] for name in variables}
        finally:
            subprocess.run([*self._command, "stop", *services], check=False)


def _works(command: Sequence[str]) -> bool:
    with suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS, check=False)
        return done.returncode == 0
    return False
