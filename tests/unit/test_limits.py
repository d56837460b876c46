"""Everything that has a bound is in `docs/limits.md`, with the number that the code enforces."""

from tests.support.limits_document import DOCUMENT, VALUE_RANGES, document, undeclared


def test_the_document_of_limits_is_what_the_code_declares() -> None:
    """`make limits` writes it."""
    assert DOCUMENT.read_text("utf-8") == document()


def test_every_bounding_constant_is_declared_as_a_limit() -> None:
    assert sorted(undeclared()) == sorted(VALUE_RANGES)
