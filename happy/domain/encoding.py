"""The two ways of reading base64 that clients rely on."""

import re
from binascii import a2b_base64
from typing import Final

_ALPHABET: Final = re.compile(r"[A-Za-z0-9+/]*")
_FOREIGN: Final = re.compile(r"[^A-Za-z0-9+/]")
_STANDARD: Final = {ord("-"): "+", ord("_"): "/"}
_SHORTEST: Final = 4
_MAX_PADDING: Final = 2


def decode_strict(text: str) -> bytes:
    """Standard base64 whose padding may be incomplete. Raises ValueError for anything else."""
    if text.endswith("==="):  # some versions of the library accept any amount of padding
        raise ValueError("not base64")
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        return _decode_unpadded(text)


def decode_lenient(text: str) -> bytes:
    """Both base64 alphabets up to the first `=`, ignoring everything that belongs to neither. Never fails."""
    try:
        return a2b_base64(text, strict_mode=True)
    except ValueError:
        return _decode_digits(_FOREIGN.sub("", text.partition("=")[0].translate(_STANDARD)))


def _decode_unpadded(text: str) -> bytes:
    digits = text.rstrip("=")
    if len(text) < _SHORTEST or len(text) - len(digits) > _MAX_PADDING or not _ALPHABET.fullmatch(digits):
        raise ValueError("not base64")
    return _decode_digits(digits)


def _decode_digits(digits: str) -> bytes:
    """A single digit left over carries no whole byte and is dropped."""
    whole = digits[: len(digits) - 1] if len(digits) % 4 == 1 else digits
    return a2b_base64(whole + "=" * (-len(whole) % 4))
