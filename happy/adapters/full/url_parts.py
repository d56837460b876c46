"""Takes the address of a service apart without ever showing a piece of its secret."""

import re
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Final
from urllib.parse import unquote, unquote_plus

from msgspec import Struct

from happy.domain.errors import StartupError
from happy.settings import Secret

YES: Final = frozenset({"true", "1", "yes", "on"})
NO: Final = frozenset({"false", "0", "no", "off"})

_SHAPE: Final = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%\w-]+)\]|([^\[\]:]*))(?::(\d{0,5}))?")
_HIGHEST_PORT: Final = 65_535

# Only in these values may an `@` stand as it is: no message ever shows them.
_MAY_HOLD_AT: Final = frozenset({"user", "username", "password", "sslpassword", "options"})


class UrlParts(Struct, frozen=True):
    """`hosts` are as they were written; names and values of the query are decoded."""

    hosts: str
    path: str
    query: dict[str, str]
    user: str | None = None
    password: Secret | None = None


def split(variable: str, url: str) -> UrlParts:
    """Raises StartupError, in words that repeat nothing of the address.

    A raw `#`, `/`, `?`, `[`, `]` or `@` in a password moves the borders of everything behind it, so an
    address in which they are out of place is refused before any part of it can be taken for a host.
    """
    rest = url.strip().partition("://")[2]
    shape = _SHAPE.fullmatch(rest)
    if shape is None or "\0" in unquote(rest):
        raise _not_encoded(variable)
    authority, path, query = shape[1], shape[2], shape[3] or ""
    credentials, _, hosts = authority.rpartition("@")
    if set("@[]") & set(credentials) or "@" in path:
        raise _not_encoded(variable)
    user, _, password = credentials.partition(":")
    return UrlParts(
        hosts=hosts,
        path=unquote(path),
        query=_query(variable, query),
        user=unquote(user) or None,
        password=Secret(unquote(password)) if password else None,
    )


def _query(variable: str, text: str) -> dict[str, str]:
    """The last value of each name."""
    found: dict[str, str] = {}
    for piece in filter(None, text.split("&")):
        name, _, value = piece.partition("=")
        if "@" in name or ("@" in value and name not in _MAY_HOLD_AT):
            raise _not_encoded(variable)
        found[unquote_plus(name)] = unquote_plus(value)
    return found


def host_list(variable: str, text: str) -> list[tuple[str, int | None]]:
    """Hosts and ports of `a:1,b,[::1]:2,/a/socket`. Raises StartupError."""
    found: list[tuple[str, int | None]] = []
    for one in filter(None, text.split(",")):
        if unquote(one).startswith("/"):  # a socket, whose name may hold colons
            found.append((unquote(one), None))
            continue
        match = _HOST.fullmatch(one)
        if match is None or int(match[3] or 1) not in range(1, _HIGHEST_PORT + 1):
            raise _not_encoded(variable)
        found.append((_name(variable, match[1] or match[2]), int(match[3]) if match[3] else None))
    return found


def _name(variable: str, text: str) -> str:
    """What the look-up of names takes; for anything else it has errors of its own."""
    name = unquote(text)
    try:
        name.removesuffix(".").encode("idna")
    except UnicodeError:
        if name:
            raise _not_encoded(variable) from None
    return name


def ignored(given: Mapping[str, str], understood: AbstractSet[str], foreign: AbstractSet[str]) -> str:
    """The parameters that mean nothing here; an unknown name may be a piece of a password, so no name."""
    names = sorted(foreign & given.keys())
    unknown = len(given.keys() - foreign - understood)
    if unknown:
        names.append(f"{unknown} unknown parameter{'s' if unknown > 1 else ''}")
    return ", ".join(names)


def is_readable(path: str) -> bool:
    try:
        with Path(path).expanduser().open("rb"):
            return True
    except (OSError, RuntimeError):
        return False


def _not_encoded(variable: str) -> StartupError:
    return StartupError(
        f"{variable}: expected scheme://user:password@host:port/name, where user and password are"
        " percent-encoded: # is %23, / is %2F, ? is %3F, [ is %5B, ] is %5D, @ is %40"
    )
