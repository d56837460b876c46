"""Names that were replaced by the field's own terms (docs/glossary.md) do not return."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
MODULES = sorted(path for folder in ("happy", "schema") for path in (REPOSITORY / folder).rglob("*.py"))

# Whole names, and what the thing is called instead.
NAMES = {
    "Alone": "TransactionGuard",
    "Ending": "DisconnectRecord",
    "Elsewhere": "ClusterRecovery",
    "Door": "Acceptor",
    "Followed": "Subscription",
    "Keeping": "Retention",
    "Lane": "AppendQueue",
    "Past": "RecoverableSession",
    "Runtime": "EngineContext",
    "Visit": "RestoredSession",
    "WebSocketLink": "WebSocketTransport",
    "_in_our_words": "map_errors",
    "asked": "request, payload, handshake",
    "break_off": "resync",
    "census": "count_connections",
    "doubt": "in_doubt",
    "doubted": "accounts_in_doubt",
    "heard": "received",
    "hears": "should_receive",
    "on_end": "on_response",
    "on_gap": "on_resync",
    "start_over": "resync",
    "told": "received, reported",
}
# Ordinary words, which had a sense of their own in these rooms only.
ROOMS = ("happy/adapters/full/redis", "happy/domain", "happy/gateway")
NAMES_IN_ROOMS = {
    "Look": "AccountLookup",
    "Place": "a cursor",
    "Turn": "TimeSlice",
    "ask": "execute, request",
    "confirmed": "last_acknowledged",
    "expect": "begin_commit",
    "interrupt": "resync",
    "past": "RecoverableSession",
    "place": "position, path, cursor",
    "question": "pending request",
    "settle": "end_commit",
    "tell": "publish, report",
    "trust": "authenticated",
    "visit": "RestoredSession",
}
TEST_MODULES = sorted((REPOSITORY / "tests").rglob("*.py"))

# Words that no name contains in any other sense.
WORDS = {"census", "deaf", "doubted", "elsewhere", "hears", "lane", "questions", "told"}
# What is elsewhere may be another folder, and questions those of commands.
WORDS_IN_TESTS = WORDS - {"elsewhere", "questions"} | {"heard"}

# Renamed modules. `rate`, `history`, `address` and others have another meaning today and are not here.
FILES = {
    "answers": "acks, responses",
    "announcement": "startup_banner",
    "appender": "append_queue",
    "arrival": "uvicorn_protocol",
    "constructs": "expressions",
    "doubts": "in_doubt",
    "elsewhere": "cluster",
    "frame": "envelope",
    "generated": "codegen",
    "local": "memory",
    "opening": "websocket_handshake",
    "past": "session",
    "positions": "stream_position",
    "public_hosts": "ssrf_guard",
    "questions": "pending_requests",
    "redis_unpublished": "publish_intents",
    "remote_calls": "cluster_rpc",
    "shapes": "common",
    "system": "health",
    "ui": "web_app",
    "web_client": "http_client",
}
# Names in a sense of their own.
ALLOWED = {
    "happy/adapters/full/redis/recent_commands.py": {"confirmed"},  # commands, by Redis
    "happy/http/framework/routing.py": {"Node", "node"},  # of the route tree
}


@cache
def names(module: Path) -> frozenset[str]:
    """Everything that the module names itself: classes, functions, arguments, variables and attributes."""
    return frozenset(_names(ast.parse(module.read_text("utf-8"))))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.alias() if node.asname is not None:
                yield node.asname
            case _:
                pass


def replacement(name: str, replaced: dict[str, str]) -> str | None:
    """What a name was replaced by; None if it may be used."""
    found = words(name)
    if "node" in found:
        return "replica"
    if found & WORDS:
        return "a term of docs/glossary.md"
    return replaced.get(name) or replaced.get(name.lstrip("_"))


def words(name: str) -> set[str]:
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_module_uses_the_terms_of_the_glossary(module: Path) -> None:
    path = module.relative_to(REPOSITORY).as_posix()
    used = names(module) - ALLOWED.get(path, set())
    replaced = NAMES | (NAMES_IN_ROOMS if path.startswith(ROOMS) else {})
    renamed = {name: term for name in used if (term := replacement(name, replaced)) is not None}

    assert {} == renamed


@pytest.mark.parametrize("module", TEST_MODULES, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_tests_use_the_terms_of_the_glossary_too(module: Path) -> None:
    """Names of tests are sentences, in which somebody may be told something."""
    used = {name for name in names(module) if not name.startswith("test_")}

    assert [] == sorted(name for name in used if words(name) & WORDS_IN_TESTS)


def test_renamed_files_do_not_return() -> None:
    found = {str(module.relative_to(REPOSITORY)): FILES.get(module.stem) for module in MODULES}

    assert {} == {path: name for path, name in found.items() if name is not None}
