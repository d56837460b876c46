"""What makes a master secret too weak: everything a server issues can be forged by whoever guesses it."""

import re
from typing import Final

MIN_BYTES: Final = 16
MIN_CHARACTERS: Final = 5

EXAMPLES: Final = frozenset(
    {
        "6a3a767d05bff2865d9a1857c68ae09d54659a3f3a200b2c9e165b1d5b72a91c",
        "change-this-to-a-secure-secret-key",
        "e2e-test-secret",
        "for this check alone",
        "test-secret-for-vitest-tests",
        "vector-secret",
        "your-secret",
        "your-seed-for-token-generation",
        "your-super-secret-key-for-local-development",
    }
)
"""Secrets in examples and tests of servers of this protocol, in lower case."""

_PLACEHOLDER: Final = re.compile(
    r"<.*>|\$\{?\w+\}?|\.{3,}|x{3,}|(your|example)[-_ ].*"
    r"|(please[-_ ]?)?(change|replace)[-_ ]?(me|this|with)(?![a-z]).*",
    re.IGNORECASE,
)
"""What stands in documents where a secret is to be put: `<your-secret>`, `change-me`, `${SECRET}`."""


def weakness(secret: str) -> str | None:
    """Why this secret must not be used, to follow its name; None if it may."""
    text = secret.strip().strip("'\"")
    if text.lower() in EXAMPLES or _PLACEHOLDER.fullmatch(text):
        return "is an example that everybody knows"
    if len(secret.encode("utf-8", "surrogateescape")) < MIN_BYTES:
        return f"is shorter than {MIN_BYTES} bytes"
    if len(set(text)) < MIN_CHARACTERS:
        return f"has fewer than {MIN_CHARACTERS} different characters"
    return None
