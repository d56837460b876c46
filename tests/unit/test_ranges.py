"""The end of the range of texts that begin with something."""

import pytest

from happy.adapters.sql.ranges import after_prefix


@pytest.mark.parametrize(
    ("prefix", "end"),
    [("a", "b"), ("ab", "ac"), ("a\U0010ffff", "b"), ("z~", "z\x7f"), ("\ud7ff", "\ue000")],
)
def test_the_end_is_the_first_text_after_all_that_have_the_prefix(prefix: str, end: str) -> None:
    assert end == after_prefix(prefix)
    assert (prefix + "\U0010ffff" * 3).encode() < end.encode()


@pytest.mark.parametrize("prefix", ["", "\U0010ffff"])
def test_nothing_follows_what_begins_with_nothing_or_with_the_last_character(prefix: str) -> None:
    assert None is after_prefix(prefix)
