"""Reads and validates one variable; SettingsError names it and what was expected."""

import ipaddress
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from happy.settings.model import Secret, SettingsError

C = TypeVar("C", bound=str)

_HIGHEST_PORT: Final = 65_535
_HIGHEST_COUNT: Final = 3_600
_MAX_DIGITS: Final = 15
_PREFIX: Final = re.compile(
    r"(?!/(v\d|files|invite|health|metrics|docs|ui|logs-[^/]*)(/|$))(/[\w.~-]+)*", re.ASCII
)
_SWITCH: Final = {"true": True, "1": True, "on": True, "false": False, "0": False, "off": False}


class Variables:
    """Variables by name; blank ones count as unset."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def text(self, name: str) -> str | None:
        return self._environ.get(name, "").strip() or None

    def secret(self, name: str) -> Secret | None:
        """Verbatim, spaces included, for the master secret: keys derive from exactly these characters."""
        return Secret(self._environ[name]) if self.text(name) else None

    def secrets(self, name: str) -> tuple[Secret, ...]:
        """One verbatim, or several, one a line."""
        whole = self.secret(name)
        lines = [line for line in (whole or "").splitlines() if line.strip()]
        if whole is None or len(lines) == 1:
            return () if whole is None else (whole,)
        return tuple(map(Secret, lines))

    def required(self, name: str) -> Secret:
        value = self.credential(name)
        if value is None:
            raise SettingsError(f"Missing required env var: {name}")
        return value

    def credential(self, name: str) -> Secret | None:
        """Without the spaces around it, which come along when it is pasted."""
        text = self.text(name)
        return Secret(text) if text else None

    def switch(self, name: str, usually: str = "false") -> bool:
        text = (self.text(name) or usually).lower()
        if text not in _SWITCH:
            raise unusable(name, "true or false", text)
        return _SWITCH[text]

    def choice(self, name: str, options: tuple[C, ...], default: C) -> C:
        text = self.text(name)
        for option in options:
            if option == (text or default):
                return option
        raise unusable(name, " or ".join(options), text)

    def port(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= _HIGHEST_PORT):
            raise unusable(name, f"a port from 1 to {_HIGHEST_PORT}", text)
        return int(text)

    def count(self, name: str) -> int | None:
        text = self.text(name)
        if text is None:
            return None
        if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) <= _HIGHEST_COUNT):
            raise unusable(name, f"a number from 1 to {_HIGHEST_COUNT}", text)
        return int(text)

    def number(self, name: str, default: int, *, most: int) -> int:
        text = self.text(name) or str(default)
        if not (text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS and int(text) <= most):
            raise unusable(name, f"a whole number from 0 to {most}", text)
        return int(text)

    def address(self, name: str, default: str) -> str:
        text = self.text(name) or default
        try:
            return str(ipaddress.ip_address("127.0.0.1" if text == "localhost" else text.strip("[]")))
        except ValueError:
            raise unusable(name, "an IP address to listen on, such as 0.0.0.0 or 127.0.0.1", text) from None

    def web_address(self, name: str) -> str | None:
        text = self.text(name)
        if text is not None and not text.startswith(("http://", "https://")):
            raise unusable(name, "an address such as https://happy.example.org", text)
        return text.rstrip("/") if text else None

    def public_address(self, name: str) -> str | None:
        """A URL by which clients reach this server; its path must not look like one of our endpoints."""
        address = self.web_address(name)
        parts = urlsplit(address or "")
        if parts.query or parts.fragment or not _PREFIX.fullmatch(parts.path):
            raise unusable(name, "an address without ?, # or a path such as /v1", address)
        return address

    def newest(self, name: str, legacy: str) -> str:
        """The name that is in use: a blank new variable hides the one it replaces."""
        return name if name in self._environ else legacy

    def folder(self, name: str) -> Path | None:
        text = self.text(name)
        return self.path(name, text) if text else None

    def path(self, name: str, text: str) -> Path:
        try:
            return Path(text).expanduser().absolute()
        except RuntimeError:
            raise SettingsError(f"{name}: expected a folder, and the home directory is unknown") from None


def unusable(name: str, expected: str, text: str | None) -> SettingsError:
    """The error for a value; a value with an `@` is not repeated, as it may hold a password."""
    shown = "what may hold a password" if text and "@" in text else repr(text)
    return SettingsError(f"{name}: expected {expected}, got {shown}")
