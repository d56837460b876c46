"""Which JSON of a peer is cheap enough to be parsed in the event loop, and what is mended in it.

The parser holds the interpreter's lock, so a thread would not keep others from waiting: what is expensive is
refused. Measured on one core, for each MB: ASCII in a string 1 ms, escapes 5 ms, a list of numbers 10 ms, of
objects 30 ms, of numbers like `1e300` 9 s. Hence no value of any type is made of what a peer sent: where any
is allowed, it remains unparsed (`msgspec.Raw`), and lists of numbers are short before they are parsed.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Raw

from happy.limits import limit

MAX_FREE_BYTES = limit(
    262_144, "bytes of JSON that may contain anything", per="request or event", then="413, or as malformed"
)
"""JSON in bytes that may contain anything. Larger JSON must be plain, as that of clients is: base64."""

MAX_DELIMITERS = limit(
    4_096,
    "of each of backslash, comma, `[` and `{` in larger JSON",
    per="request or event",
    then="413, or as malformed",
)
"""Of each of `\\`, `,`, `[` and `{` in larger JSON. Clients send at most 50 messages at once."""

MAX_MENDED_BYTES = limit(
    65_536, "bytes of JSON that may contain lone surrogates", per="request or event", then="as malformed"
)
"""JSON in bytes in which lone surrogates and foreign bytes are replaced; larger is malformed with any."""

MAX_NUMBER = limit(
    32, "characters of a number in a field of any type", per="request or event", then="it counts as infinite"
)

OBJECT: Mapping[str, object] = {"": None}
ARRAY: Sequence[object] = [None]
"""What stands for values that are not parsed."""

_DELIMITERS = ("\\", ",", "[", "{")

_any = msgspec.json.Decoder().decode

# An escaped half of a surrogate pair, or (which is kept) a whole pair, behind an even number of
# backslashes: behind an odd one it is plain text.
_SURROGATE = re.compile(
    rb"(?<!\\)((?:\\\\)*)\\u[dD](?:"
    rb"[89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<half>[89a-fA-F][0-9a-fA-F]{2}))"
)


def is_cheap(text: bytes | bytearray | str) -> bool:
    """Whether the text may be parsed. The check costs 0.3 ms a MB, and nothing below MAX_FREE_BYTES."""
    if len(text) <= MAX_FREE_BYTES:
        return True
    if not text.isascii():
        return False
    if isinstance(text, str):
        return not any(_has_many(text.find, delimiter) for delimiter in _DELIMITERS)
    return not any(_has_many(text.find, delimiter.encode()) for delimiter in _DELIMITERS)


def _has_many(find: Callable[..., int], delimiter: str | bytes) -> bool:
    at = -1
    for _ in range(MAX_DELIMITERS + 1):
        at = find(delimiter, at + 1)
        if at < 0:
            return False
    return True


def scalar(value: Raw) -> Any:
    """The value of a field of any type; for an object or array only that it is one (OBJECT, ARRAY).

    None for no value, as for null; infinity for numbers that are too long or too large. Raises
    msgspec.DecodeError for text that is not JSON.
    """
    match bytes(memoryview(value)[:1]):
        case b"{":
            return OBJECT
        case b"[":
            return ARRAY
        case b"":
            return None
        case b'"' | b"t" | b"f" | b"n":
            return _any(value)
        case _:
            return _number(value)


def _number(value: Raw) -> int | float:
    if len(value) > MAX_NUMBER:
        return math.inf
    try:
        number: int | float = _any(value)
    except msgspec.DecodeError:
        return math.inf
    return number


def mend(text: bytes) -> bytes:
    """Lone surrogates and bytes that are not UTF-8 become U+FFFD: JavaScript clients may cut an emoji in two.

    Unchanged where there are none, and beyond MAX_MENDED_BYTES.
    """
    if len(text) > MAX_MENDED_BYTES:
        return text
    clean = text.decode(errors="replace").encode()
    if b"\\ud" not in clean and b"\\uD" not in clean:
        return clean  # the search for pairs takes 5 ms
    return _SURROGATE.sub(lambda match: match[1] + rb"\ufffd" if match["half"] else match[0], clean)
