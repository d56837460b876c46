"""Prefix search as a range of texts, in the order of their bytes."""

LAST = "\U0010ffff"
SURROGATES = range(0xD800, 0xE000)
"""No valid text contains it."""


def after_prefix(prefix: str) -> str | None:
    """The first text after all that begin with `prefix`: "b" for "a". None when nothing follows them."""
    kept = prefix.rstrip(LAST)
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(SURROGATES.stop if following in SURROGATES else following)
