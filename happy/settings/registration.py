"""Settings of who may make an account."""

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from happy.settings.environ import Variables, unusable
from happy.settings.model import REGISTRATION, RegistrationSettings, SettingsError

KEY_BYTES: Final = 32
KEY: Final = "a public key in hex (64 digits) or base64 (44 characters)"
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}")


def read_registration(variables: Variables) -> RegistrationSettings:
    return RegistrationSettings(
        mode=variables.choice("HAPPY_REGISTRATION", REGISTRATION, "open"),
        keys=tuple(dict.fromkeys([*_named(variables), *_listed(variables)])),
    )


def public_key(text: str) -> str | None:
    """The key that is written as hex or base64, as upper-case hex; None for anything else."""
    if _HEX.fullmatch(text):
        return text.upper()
    try:
        plain = text.rstrip("=").translate(str.maketrans("-_", "+/"))
        raw = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (ValueError, binascii.Error):
        return None
    return raw.hex().upper() if len(raw) == KEY_BYTES else None


def _named(variables: Variables) -> Iterator[str]:
    name = "HAPPY_REGISTRATION_KEYS"
    for text in re.split(r"[\s,]+", variables.text(name) or ""):
        if text:
            key = public_key(text)
            if key is None:
                raise unusable(name, f"{KEY}, or several with commas between", text)
            yield key


def _listed(variables: Variables) -> Iterator[str]:
    """One key a line; what follows a # is a remark."""
    name = "HAPPY_REGISTRATION_KEYS_FILE"
    file = variables.folder(name)
    for number, line in enumerate([] if file is None else _lines(name, file), 1):
        text = line.partition("#")[0].strip()
        if text:
            key = public_key(text)
            if key is None:
                raise SettingsError(f"{name}: {file} line {number}: expected {KEY}")
            yield key


def _lines(name: str, file: Path) -> list[str]:
    try:
        return file.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise SettingsError(f"{name}: expected a readable text file, {file}: {reason}") from None
