"""What every file of the server has in common, so that a stranger finds the next one like the last."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
MODULES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for package in ("happy", "schema")
    for path in (REPOSITORY / package).rglob("*.py")
    if "migrations" not in path.parts
)
MAX_FILE_LINES = 300
MAX_FUNCTION_LINES = 30

# Tasks outlive the call that starts them, so only these modules may start some: each says when they end.
MAY_START_TASKS = {
    "happy/serving.py",
    "happy/adapters/full/postgres/append_queue.py",
    "happy/adapters/full/redis/link.py",
    "happy/services/attendance.py",
    "happy/services/background.py",
    "happy/services/departures.py",
    "happy/services/cluster_rpc.py",
    "happy/gateway/in_flight.py",
    "happy/gateway/events/rpc.py",
    "happy/gateway/engine/polling.py",
    "happy/gateway/engine/context.py",
}
# A list, whose length is the number of things in it.
MAY_BE_LONG = {"schema/tables.py"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(module: str) -> ast.Module:
    return ast.parse((REPOSITORY / module).read_text())


def functions(module: str) -> Iterator[Function]:
    return (node for node in ast.walk(tree(module)) if isinstance(node, Function))


def length(function: Function) -> int:
    """Lines from `def` to the end."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def test_a_module_docstring_begins_with_one_sentence() -> None:
    firsts = {module: (ast.get_docstring(tree(module)) or "").partition("\n\n")[0] for module in MODULES}

    assert [] == [
        module for module, first in firsts.items() if not re.fullmatch(r"(?s)[A-Z`].*[.:?)]", first)
    ]


def test_a_file_is_read_at_one_sitting() -> None:
    lengths = {module: len((REPOSITORY / module).read_text().splitlines()) for module in MODULES}

    assert {} == {
        module: lines
        for module, lines in lengths.items()
        if lines > MAX_FILE_LINES and module not in MAY_BE_LONG
    }


def test_a_long_function_gives_its_reason() -> None:
    assert [] == [
        (module, function.name)
        for module in MODULES
        for function in functions(module)
        if length(function) > MAX_FUNCTION_LINES and not ast.get_docstring(function)
    ]


def test_tasks_are_started_in_few_places() -> None:
    starting = {module for module in MODULES if called(module) & {"create_task", "ensure_future"}}

    assert set() == starting - MAY_START_TASKS


def test_handlers_are_registered_by_methods() -> None:
    """Where an object's handler is set from outside, neither a search nor a type checker finds the call."""
    assert [] == [
        (module, ast.unparse(target))
        for module in MODULES
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Attribute)
        and re.match(r"_?on_", target.attr)
        and ast.unparse(target.value) != "self"
    ]


def called(module: str) -> set[str]:
    return {
        node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Call)
    }


def test_the_domain_takes_time_from_the_clock_port() -> None:
    domain = {module for module in MODULES if module.startswith("happy/domain/")}

    assert {} == {module: found for module in domain if (found := imported(module) & {"time", "datetime"})}


def imported(module: str) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names
