"""The published releases of the command-line client that people have installed."""

import sys
from pathlib import Path
from typing import NamedTuple

from tests.support.nodejs import installed, node

FAKE_AGENT = Path(__file__).with_name("fake_agent.py")


class Release(NamedTuple):
    """A version on npm, where the package had another name before 1.0."""

    version: str

    @property
    def package(self) -> str:
        return "happy-coder" if self.is_legacy else "happy"

    @property
    def is_legacy(self) -> bool:
        """0.x sends no client name, never reads a session's history, and talks over the socket alone."""
        return self.version.startswith("0.")

    @property
    def command(self) -> list[str]:
        """How to start it, installed on first use."""
        modules = installed(self.package, self.version) / "node_modules"
        return [node(), str(modules / self.package / "bin" / "happy.mjs")]

    @property
    def agent_arguments(self) -> list[str]:
        """Start a session with `fake_agent.py`: 0.x knows no other agent than the `gemini` in its PATH."""
        return ["gemini"] if self.is_legacy else ["acp", "--", sys.executable, str(FAKE_AGENT)]

    def __str__(self) -> str:
        return f"{self.package}@{self.version}"


CURRENT = Release("1.2.5")
RELEASES = (CURRENT, Release("1.2.0"), Release("0.13.0"))
