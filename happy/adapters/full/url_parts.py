"""Parses URLs of services; its errors never contain any part of a password."""

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

_PARTS: Final = re.compile(r"([^/?#]*)([^?#]*)(?:\?([^#]*))?")
_HOST: Final = re.compile(r"(?:\[([0-9A-Fa-f:.%\w-]+)\]|([^\[\]:]*))(?::(\d{0,5}))?")
_HIGHEST_PORT: Final = 65_535

# Only these values may contain a raw `@`: no message shows them.
_MAY_HOLD_AT: Final = frozenset({"user", "username", "password", "sslpassword", "options"})


class UrlParts(Struct, frozen=True):
    """`hosts` is not decoded; names and values of the query are."""

    hosts: str
    path: str
    query: dict[str, str]
    user: str | None = None
    password: Secret | None = None


def split(variable: str, url: str) -> UrlParts:
    """Raises StartupError, without any part of the URL in its message.

    A `#`, `/`, `?`, `[`, `]` or `@` in a password that is not percent-encoded would make part of the password
    look like a host. So a URL with one of these in an unexpected position is refused as a whole.
    """
    rest = url.strip().partition("://")[2]
    match = _PARTS.fullmatch(rest)
    if match is None or "\0" in unquote(rest):
        raise _not_encoded(variable)
    authority, path, query = match[1], match[2], match[3] or ""
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
        if unquote(one).startswith("/"):  # the path of a socket, which may contain colons
            found.append((unquote(one), None))
            continue
        match = _HOST.fullmatch(one)
        if match is None or int(match[3] or 1) not in range(1, _HIGHEST_PORT + 1):
            raise _not_encoded(variable)
        found.append((_name(variable, match[1] or match[2]), int(match[3]) if match[3] else None))
    return found


def _name(variable: str, text: str) -> str:
    """A host name that can be resolved: the resolver has errors of its own for others."""
    name = unquote(text)
    try:
        name.removesuffix(".").encode("idna")
    except UnicodeError:
        if name:
            raise _not_encoded(variable) from None
    return name


def ignored(given: Mapping[str, str], understood: AbstractSet[str], foreign: AbstractSet[str]) -> str:
    """Ignored parameters, for a warning. Unknown ones are only counted: a name may be part of a password."""
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
