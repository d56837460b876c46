"""Words that were replaced by the field's own terms do not return in comments and messages either.

What each may still mean is an allowed pattern: names that other programs fix, and terms of their own
(docs/decisions/0032-replaced-words.md).
"""

import re
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
NOTHING = r"(?!)"

# Everywhere in the server: the word, what is written instead, and where it is the right word.
WORDS = {
    r"break(s|ing)? off|broken off|breaks off": ("resync, disconnect", NOTHING),
    r"doors?": ("acceptor", NOTHING),
    r"doubts?|doubted": ("in-doubt commit", r"in[ -]doubt"),
    r"elsewhere": ("on another replica", NOTHING),
    r"endings?": ("disconnect record", NOTHING),
    r"frames?": (
        "envelope, packet",
        r"gateway/engine/.*|(zstd|innermost) frame|frames(: list|\.append|\[)|frame-(options|ancestors)",
    ),
    r"gaps?": ("history gap", r"history gaps?"),
    r"hears?|heard|hearing": ("receive", NOTHING),
    r"interrupt(s|ed|ing)?": ("resync", r"INTERRUPTED"),
    r"marks?|marked": ("stream position, publish intent, flag", NOTHING),
    r"nodes?": ("replica", r"routing\.py:.*|pglite\.py:.*|node-postgres|}node:|}nodes\b"),
    r"past": ("recoverable session; above, before", NOTHING),
    r"pid": ("recovery token", r'"pid"|`pid`|"pid\\?":|\bpid = |\{pid\}|%[sd]\.pid|\.pid\b'),
    r"places?": ("position, path; instead of", r"""["']place["']"""),
    r"questions?": ("pending request", r'"question"'),
    r"repl(y|ies|ied)": ("response", NOTHING),
    r"settles?|settled": ("end_commit", NOTHING),
    r"start(s|ed|ing)? over": ("resync", NOTHING),
    r"visit(s|ed|ors?)?": ("restored session", NOTHING),
    r"watch(es|ed|ing)?": ("subscribe, check", NOTHING),
}
# Ordinary words, which had a sense of their own in these rooms only.
ROOMS = ("happy/adapters/full/redis/", "happy/domain/ports/", "happy/gateway/")
WORDS_IN_ROOMS = {
    r"ask(s|ed|ing)?": ("request, query", NOTHING),
    r"expects?|expecting": ("begin_commit; is to be", NOTHING),
    r"stay(s|ed|ing)?": ("subscribe, remain", NOTHING),
    r"leav(e|es|ing)": ("unsubscribe, disconnect", NOTHING),
    r"tell(s|ing)?|told": ("publish, report; stream position", NOTHING),
}


@cache
def text() -> str:
    """All lines of the server, each with its path before it."""
    modules = sorted((REPOSITORY / "happy").rglob("*.py"))
    lines = (
        f"{module.relative_to(REPOSITORY).as_posix()}:{number}: {line}"
        for module in modules
        for number, line in enumerate(module.read_text("utf-8").splitlines(), 1)
    )
    return "\n".join(["", *lines, ""])


def line_at(position: int) -> str:
    return text()[text().rindex("\n", 0, position) + 1 : text().index("\n", position)]


@pytest.mark.parametrize("word", [*WORDS, *WORDS_IN_ROOMS])
def test_a_replaced_word_does_not_return(word: str) -> None:
    instead, allowed = (WORDS | WORDS_IN_ROOMS)[word]
    rooms = ROOMS if word in WORDS_IN_ROOMS else ("happy/",)
    whole = re.compile(rf"\b({word})\b", re.IGNORECASE)
    lines = dict.fromkeys(line_at(match.start()) for match in whole.finditer(text()))
    found = [
        line
        for line in lines
        if line.startswith(rooms) and whole.search(re.sub(allowed, "", line, flags=re.IGNORECASE))
    ]

    assert [] == found, f"write instead: {instead}"
