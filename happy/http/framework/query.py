"""Query strings: declared parameters and coercion of integers (protocol: http#scalars)."""

import re
from collections.abc import Sequence
from urllib.parse import parse_qsl, urlencode

from msgspec import Struct

from happy.http.framework.errors import Refusal, unacceptable
from happy.http.framework.validation import NUL
from happy.limits import limit

DECIMAL = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+")
MAX_INTEGER = 2**53 - 1
"""JavaScript's MAX_SAFE_INTEGER: beyond it, numbers of clients are not exact."""
FEW_DIGITS = 15

MAX_PARAMETERS = limit(256, "parameters of a query", per="request", then="400")
"""Each costs 2 us to read; endpoints know five at most."""


class QueryField(Struct, frozen=True):
    """A query parameter that an endpoint declares; `argument` is the handler's name for it."""

    name: str
    argument: str
    integer: bool
    required: bool


def normalize(query: bytes, fields: Sequence[QueryField]) -> bytes:
    """Only the declared parameters, each once and integers in decimal form. Raises Refusal."""
    if query.count(b"&") >= MAX_PARAMETERS:
        raise unacceptable("querystring/ Too many parameters")
    given: dict[str, list[str]] = {}
    for name, value in parse_qsl(query.decode(errors="replace"), keep_blank_values=True):
        given.setdefault(name, []).append(value)
    kept: list[tuple[str, str]] = []
    problems: list[str] = []
    for field in fields:
        values = given.get(field.name)
        if values is None:
            if field.required:
                problems.append(_invalid(field, "undefined"))
        elif len(values) > 1:
            problems.append(_invalid(field, "array"))
        else:
            _keep(field, values[0], kept, problems)
    if problems:
        raise unacceptable(", ".join(problems))
    return urlencode(kept).encode()


def _keep(field: QueryField, value: str, kept: list[tuple[str, str]], problems: list[str]) -> None:
    if field.integer:
        number = coerce_integer(value)
        if number is None:
            problems.append(_invalid(field, "NaN"))
            return
        value = str(number)
    elif "\0" in value:
        problems.append(f"querystring/{field.name} {NUL}")
        return
    kept.append((field.name, value))


def coerce_integer(text: str) -> int | None:
    """Decimal, exponent and hexadecimal forms of an integer; empty text is 0."""
    text = text.strip()
    if text.isascii() and text.isdigit() and len(text) <= FEW_DIGITS:
        return int(text)
    if not text:
        return 0
    if HEXADECIMAL.fullmatch(text):
        return _exact(int(text, 16))
    return _exact(float(text)) if DECIMAL.fullmatch(text) else None


def _exact(number: float) -> int | None:
    return int(number) if abs(number) <= MAX_INTEGER and number == int(number) else None


def _invalid(field: QueryField, received: str) -> str:
    expected = "number" if field.integer else "string"
    return f"querystring/{field.name} Invalid input: expected {expected}, received {received}"


def out_of_range(fields: Sequence[QueryField], argument: str, text: str) -> Refusal:
    """A parameter of the right type that its endpoint does not accept."""
    name = next((field.name for field in fields if field.argument == argument), argument)
    return unacceptable(f"querystring/{name} {text}")
