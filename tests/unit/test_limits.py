"""Everything that has a bound is in `docs/limits.md`, with the number that the code enforces."""

import ast
from collections.abc import Iterator

from tests.support.limits_document import DOCUMENT, ROOT, SOURCES, assigned, document, is_limit

VALUE_RANGES = {
    "gateway/events/payloads.py:MAX_VERSION",
    "http/endpoints/messages.py:MAX_SEQ",
    "http/endpoints/kv.py:MAX_VERSION",
    "domain/feed.py:MAX_COUNTER",
    "adapters/full/redis/address.py:MAX_DATABASE",
    "adapters/full/postgres/dsn.py:MAX_CONNECTIONS",
    "adapters/full/postgres/dsn.py:MAX_CONNECT_SECONDS",
    "gateway/recovery/history.py:MAX_NUMBER",
    "gateway/recovery/cursors.py:MAX_NUMBER",
}
"""What a column, a variable of the operator, or a number in a text of ours can hold: no peer changes it."""


def test_the_document_of_limits_is_what_the_code_declares() -> None:
    """`make limits` writes it."""
    assert DOCUMENT.read_text("utf-8") == document()


def test_every_bounding_constant_is_declared_as_a_limit() -> None:
    assert sorted(undeclared()) == sorted(VALUE_RANGES)


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
