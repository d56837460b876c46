"""Validation messages, in the format of protocol: http#validation-messages."""

import re

PROBLEM = re.compile(r"(?P<text>.+?)(?: - at `\$(?P<path>.*)`)?", re.DOTALL)
RECEIVED = re.compile(r"Expected `(?P<expected>[^`]+)`, got `(?P<received>[^`]+)`")
BOUND = re.compile(r"Expected `(?:int|float)(?: \| null)?` (?P<relation>>=|<=|>|<) (?P<bound>\S+)")
LENGTH = re.compile(
    r"Expected `(?P<kind>str|array)(?: \| null)?` of length (?P<relation>>=|<=) (?P<bound>\d+)"
)
MISSING = re.compile(r"Object missing required field `(?P<field>[^`]+)`")

NUL = "Invalid input: the character U+0000 is not allowed"
NAMES = {"str": "string", "int": "number", "float": "number", "bool": "boolean"}
UNITS = {"str": ("string", "characters"), "array": ("array", "items")}


def body_problem(error: str) -> str:
    """`error` is msgspec's message about a body that is JSON but does not match the type."""
    match = PROBLEM.fullmatch(error)
    assert match is not None, "the pattern accepts every text"
    path = "/".join(re.findall(r"[^.\[\]]+", match["path"] or ""))
    missing = MISSING.fullmatch(match["text"])
    if missing is None:
        return f"body/{path} {problem(match['text'])}"
    field = f"{path}/{missing['field']}" if path else missing["field"]
    return f"body/{field} Invalid input: expected a value, received undefined"


def problem(text: str) -> str:
    """msgspec's message about one value, without its path."""
    if match := RECEIVED.fullmatch(text):
        expected = match["expected"].removesuffix(" | null")
        received = match["received"]
        return f"Invalid input: expected {_name(expected)}, received {_name(received)}"
    if match := BOUND.fullmatch(text):
        return f"{_size(match['relation'])}: expected number to be {match['relation']}{match['bound']}"
    if match := LENGTH.fullmatch(text):
        (noun, unit), relation = UNITS[match["kind"]], match["relation"]
        return f"{_size(relation)}: expected {noun} to have {relation}{match['bound']} {unit}"
    return text


def _name(kind: str) -> str:
    return NAMES.get(kind, kind)


def _size(relation: str) -> str:
    return "Too small" if relation.startswith(">") else "Too big"
