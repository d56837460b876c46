"""Every file, function and test that the documentation names exists: `path.py:function`, `test_...`."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
FOLDERS = ("happy", "schema", "tests")
NAMED = re.compile(r"(?<![\w./<>-])((?:[\w-]+/)*[\w-]+\.py)(?::([A-Za-z_][\w.]*\w))?")
TEST = re.compile(r"`(test_\w+)`")
FOLDER = re.compile(r"`((?:happy|schema|tests)(?:/\w+)+)/?`")


@cache
def sources() -> tuple[Path, ...]:
    return tuple(path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py"))


def found(name: str) -> list[Path]:
    """The files that a document means: a path from the root, or from `happy/`, or the end of a path."""
    direct = [path for path in (ROOT / name, ROOT / "happy" / name) if path.exists()]
    return direct or [path for path in sources() if path.as_posix().endswith(f"/{name}")]


@cache
def names(path: Path) -> frozenset[str]:
    """Functions, classes and methods of a file, the latter as `Class.method`."""
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    result: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, definitions):
            result.add(node.name)
        if isinstance(node, ast.ClassDef):
            result |= {f"{node.name}.{part.name}" for part in node.body if isinstance(part, definitions)}
    return frozenset(result)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_file_and_function_named_in_the_documentation_exists(document: Path) -> None:
    text = document.read_text("utf-8")
    wrong = [folder for folder in FOLDER.findall(text) if not (ROOT / folder).is_dir()]
    for name, member in NAMED.findall(text):
        files = found(name)
        if not files or (member and not any(member in names(path) for path in files)):
            wrong.append(f"{name}:{member}" if member else name)

    assert [] == wrong


@cache
def names_of_tests() -> frozenset[str]:
    """Modules and functions of tests."""
    modules = [path for path in sources() if path.is_relative_to(ROOT / "tests")]
    functions = (re.findall(r"def (test_\w+)", path.read_text("utf-8")) for path in modules)
    return frozenset({path.stem for path in modules}.union(*functions))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_test_named_in_the_documentation_exists(document: Path) -> None:
    assert [] == sorted(set(TEST.findall(document.read_text("utf-8"))) - names_of_tests())


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_line_of_a_mermaid_diagram_is_cut_off(document: Path) -> None:
    """A semicolon ends a statement of Mermaid, and GitHub then shows an error instead of the diagram."""
    diagrams = re.findall(r"```mermaid\n(.*?)```", document.read_text("utf-8"), re.DOTALL)

    assert [] == [line for diagram in diagrams for line in diagram.splitlines() if ";" in line]
