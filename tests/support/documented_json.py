"""The fields of JSON output as `docs/commands.md` writes them, such as `[{id, owner: {name}}]`.

documented(text, "tokens list") -> "[{token: {id, ...}, state}]"
differences(spec, document) -> ["token.id is not printed", "state is not documented"]
"""

import re
from collections.abc import Iterator
from typing import Any

HEADING = re.compile(r"^#{2,4} .*$", re.MULTILINE)
FIELDS = re.compile(r"`--json`[^`]*: `([^`]+)`")
TOKEN = re.compile(r"[{}\[\],:]|[A-Za-z]+")

Spec = dict[str, Any] | list[Any] | None
"""Fields by name, or a list of what is in it; None: anything."""


def documented(text: str, words: str) -> str | None:
    """What is written behind the command's heading."""
    headings = [*HEADING.finditer(text)]
    for heading, following in zip(headings, [*headings[1:], None], strict=True):
        if re.search(rf"`happy-server {words}[` ]", heading[0]):
            found = FIELDS.search(text[heading.end() : following.start() if following else None])
            return found[1].replace("\n", " ") if found else None
    return None


def parsed(spec: str) -> Spec:
    return _value(iter([*TOKEN.findall(spec), "end"]))[0]


def _value(tokens: Iterator[str]) -> tuple[Spec, str]:
    """A value, and the token behind it."""
    token = next(tokens)
    if token == "[":
        inner, _ = _value(tokens)
        return [inner], next(tokens)
    if token == "{":
        return _fields(tokens), next(tokens)
    return None, token


def _fields(tokens: Iterator[str]) -> dict[str, Spec]:
    fields: dict[str, Spec] = {}
    while True:
        name, value = next(tokens), None
        token = next(tokens)
        if token == ":":
            value, token = _value(tokens)
        fields[name] = value
        if token == "}":
            return fields


def differences(spec: Spec, document: Any, path: str = "") -> list[str]:
    """What is documented and not printed, and the other way round; not of what is empty or null."""
    if spec is None or document is None or document == []:
        return []
    if isinstance(spec, list):
        if not isinstance(document, list):
            return [f"{path or 'it'} is no list"]
        return differences(spec[0], document[0], path)
    if not isinstance(document, dict):
        return [f"{path or 'it'} is no object"]
    found = [f"{path}{name} is not printed" for name in spec.keys() - document.keys()]
    found += [f"{path}{name} is not documented" for name in document.keys() - spec.keys()]
    for name in spec.keys() & document.keys():
        found += differences(spec[name], document[name], f"{path}{name}.")
    return sorted(found)
