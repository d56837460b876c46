"""Variables with our names that platforms and tools set for other purposes."""

import re
import socket
from collections.abc import Callable, Mapping
from typing import Final

_LINK: Final = re.compile(r"(?i)(tcp|udp|sctp)://")
_MACHINE: Final = re.compile(
    r"(?i)(x86_64|amd64|i[3-6]86|aarch64|arm64|armv?[\w.]*|ppc64\w*|powerpc\w*|s390x|riscv\w*|loongarch\w*)-[\w.-]+"
)
_FOLDER: Final = re.compile(r"[./]\S*|[A-Za-z]:\\\S*")


def without_foreign(variables: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """The variables without those whose value shows that a platform set them, and a warning for each."""
    kept, warnings = dict(variables), []
    for name, what in ((name, what(variables.get(name, "").strip())) for name, what in _FOREIGN.items()):
        if what is not None:
            del kept[name]
            warnings.append(f"{name} is not used: it holds {what}")
    return kept, warnings


def _port(text: str) -> str | None:
    if _LINK.match(text):
        return "the link to another service, as containers are given for one of this name"
    if _FOLDER.fullmatch(text):
        return "a device or a path, no port"
    return None


def _host(text: str) -> str | None:
    """Any other name is refused later: a mistyped 127.0.0.1 must not expose the server."""
    if _MACHINE.fullmatch(text):
        return "the kind of machine that a toolchain builds for"
    if text and text.casefold() in (socket.gethostname().casefold(), socket.gethostname().partition(".")[0]):
        return "this machine's name, as shells set it, no address to listen on"
    return None


def _public_url(text: str) -> str | None:
    return "a path, as builds of web pages set it, no address" if _FOLDER.fullmatch(text) else None


_FOREIGN: Final[Mapping[str, Callable[[str], str | None]]] = {
    "PORT": _port,
    "METRICS_PORT": _port,
    "S3_PORT": _port,
    "HOST": _host,
    "PUBLIC_URL": _public_url,
}
