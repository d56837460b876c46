"""Writes `docs/limits.md` from the limits that the code declares; `--check`: says whether it is stale."""

import ast
import importlib
import sys
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from happy.limits import LIMITS, Limit

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "limits.md"
SOURCES = sorted((ROOT / "happy").rglob("*.py"))

INTRODUCTION = """\
# Limits

Everything that a peer can make this server keep or do has a limit, far above what clients need. This page is
generated from the code (`make limits`), and a test fails when it is stale. *Beyond it* is what the peer sees.
"""

AREAS = {
    "gateway/engine": "Connections: websockets and long polling",
    "gateway": "Events of sockets",
    "http": "HTTP",
    "services": "Accounts and what they store",
    "domain": "Accounts and what they store",
    "adapters": "Databases, files and services of others",
    "rates": "Rates: how often one may ask",
    "": "The process",
}
"""Headings by the folders below `happy/`; the first that fits counts."""


VALUE_RANGES = {
    "gateway/events/payloads.py:MAX_VERSION",
    "http/endpoints/messages.py:MAX_SEQ",
    "http/endpoints/kv.py:MAX_VERSION",
    "domain/feed.py:MAX_COUNTER",
    "http/framework/query.py:MAX_INTEGER",
    "domain/encoding.py:_MAX_PADDING",
    "settings/environ.py:_MAX_DIGITS",
    "adapters/outbound/thumbhash.py:MAX_SIDE",
    "adapters/full/redis/address.py:MAX_DATABASE",
    "adapters/full/postgres/dsn.py:MAX_CONNECTIONS",
    "adapters/full/postgres/dsn.py:MAX_CONNECT_SECONDS",
    "gateway/recovery/history.py:MAX_NUMBER",
    "gateway/recovery/cursors.py:MAX_NUMBER",
}
"""What a column, a variable of the operator, or a number in a text of ours can hold: no peer changes it."""


def undeclared() -> Iterator[str]:
    """Constants `MAX_...` and fields `max_...` with a default, which are not `limit(...)`."""
    for source in SOURCES:
        tree = ast.parse(source.read_text("utf-8"))
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        for node in [*tree.body, *(part for each in classes for part in each.body)]:
            name, value = assigned(node)
            bounds = name.lower().lstrip("_").startswith("max_") and value is not None
            if bounds and not is_limit(value):
                yield f"{source.relative_to(ROOT / 'happy').as_posix()}:{name}"


def declared(source: Path) -> Iterator[tuple[str, str]]:
    """The text `what` of each limit in a file, and the name that it is declared for."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"))):
        name, value = assigned(node)
        if name and is_limit(value):
            assert isinstance(value, ast.Call)
            yield ast.literal_eval(argument(value, 1, "what")), name


def assigned(node: ast.AST) -> tuple[str, ast.expr | None]:
    """The name and the value of an assignment; "" for everything else."""
    if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
        return node.targets[0].id, node.value
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
        return node.target.id, node.value
    return "", None


def is_limit(value: ast.expr | None) -> bool:
    """Whether the value is `limit(...)`."""
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "limit"


def argument(call: ast.Call, position: int, name: str) -> ast.expr:
    named = [keyword.value for keyword in call.keywords if keyword.arg == name]
    return named[0] if named else call.args[position]


def declarations() -> dict[str, str]:
    """Where each limit is declared, as `path:NAME`, by its `what`."""
    found: dict[str, str] = {}
    for source in SOURCES:
        path = source.relative_to(ROOT / "happy").as_posix()
        for what, name in declared(source):
            assert what not in found, f"two limits are called {what!r}: {found[what]} and {path}:{name}"
            found[what] = f"{path}:{name}"
    return found


def collected() -> list[Limit]:
    """The limits of all modules, which are imported for that."""
    for source in SOURCES:
        parts = source.relative_to(ROOT).with_suffix("").parts
        if parts[-1] != "__main__":
            importlib.import_module(".".join(parts).removesuffix(".__init__"))
    return list(LIMITS)


def document() -> str:
    found = declarations()
    areas: dict[str, list[str]] = defaultdict(list)
    limits = {item.what: item for item in collected()}
    unnamed = limits.keys() - found.keys()
    assert not unnamed, f"assign each limit to a constant or a field: {sorted(unnamed)}"
    for what, declaration in sorted(found.items(), key=lambda each: (each[1].partition(":")[0], each[0])):
        areas[area(declaration)].append(row(limits[what], declaration))
    headings = dict.fromkeys(AREAS.values())
    return "\n".join(chain([INTRODUCTION], *(table(each, areas[each]) for each in headings if areas[each])))


def area(declaration: str) -> str:
    return next(heading for folder, heading in AREAS.items() if declaration.startswith(folder))


def table(heading: str, rows: list[str]) -> list[str]:
    head = "| What | Limit | For each | Beyond it | Setting | Declared in |"
    return [f"## {heading}", "", head, "| --- | ---: | --- | --- | --- | --- |", *rows, ""]


def row(item: Limit, declaration: str) -> str:
    setting = f"`{item.setting}`" if item.setting else ""
    path = declaration.partition(":")[0]
    return f"| {item.what} | {number(item.value)} | {item.per} | {item.then} | {setting} | `{path}` |"


def number(value: float) -> str:
    return f"{value:,.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else f"{value:,}"


def main() -> None:
    text = document()
    if "--check" not in sys.argv[1:]:
        DOCUMENT.write_text(text, "utf-8")
    elif missing := set(undeclared()) - VALUE_RANGES:
        sys.exit(f"declare these with happy.limits.limit: {', '.join(sorted(missing))}")
    elif not DOCUMENT.exists() or DOCUMENT.read_text("utf-8") != text:
        sys.exit("docs/limits.md is not what the code declares: make limits")


if __name__ == "__main__":
    main()
