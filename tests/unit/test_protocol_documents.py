"""The protocol documents and the code say the same: references, endpoints, events and links resolve."""

import re
from functools import cache
from pathlib import Path

import pytest

from happy.domain.ports.delivery import NotDelivered

ROOT = Path(__file__).parents[2]
PROTOCOL = ROOT / "docs" / "protocol"
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SOURCES = sorted(path for folder in ("happy", "schema", "tests") for path in (ROOT / folder).rglob("*.py"))
REFERENCE = re.compile(r"protocol: ((?:[\w-]+#[\w-]+)(?:,\s+[\w-]+#[\w-]+)*)")
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


@cache
def anchors(document: Path) -> frozenset[str]:
    """The anchors that GitHub gives the headings of a document."""
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    seen: dict[str, int] = {}
    found = set()
    for title in re.findall(r"^#+ (.+)$", text, re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", title).strip().lower()).replace(" ", "-")
        count = seen.get(slug, 0)
        seen[slug] = count + 1
        found.add(f"{slug}-{count}" if count else slug)
    return frozenset(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_of_the_documentation_leads_somewhere(document: Path) -> None:
    text = re.sub(r"```.*?```", "", document.read_text("utf-8"), flags=re.DOTALL)
    wrong = []
    for target in LINK.findall(text):
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (document.parent / path).resolve() if path else document
        if not file.exists() or (anchor and anchor not in anchors(file)):
            wrong.append(target)

    assert [] == wrong


def test_every_reference_in_the_code_names_a_section() -> None:
    references = {
        part.strip()
        for path in SOURCES
        for found in REFERENCE.findall(path.read_text("utf-8"))
        for part in found.split(",")
    }
    wrong = [
        reference
        for reference in references
        if not (PROTOCOL / f"{reference.partition('#')[0]}.md").exists()
        or reference.partition("#")[2] not in anchors(PROTOCOL / f"{reference.partition('#')[0]}.md")
    ]

    assert [] == wrong


@pytest.mark.parametrize("document", sorted(PROTOCOL.glob("*.md")), ids=lambda path: path.name)
def test_sections_are_named_by_their_headings(document: Path) -> None:
    """Sections have no numbers, so `as 6.2` or `(13.7)` leads nowhere."""
    number = r"\d{1,2}\.\d{1,2}\b(?!\.[\dx])"

    assert [] == re.findall(rf"(?:\b(?:as|section|sections) |\(){number}", document.read_text("utf-8"))


def test_every_reason_why_something_was_not_delivered_is_explained() -> None:
    text = (ROOT / "docs" / "operating.md").read_text("utf-8")
    _, _, table = text.partition("### Why did this event not reach that phone?")

    assert [] == [reason.value for reason in NotDelivered if f"`{reason.value}`" not in table]


def test_every_event_has_its_section() -> None:
    text = (PROTOCOL / "realtime.md").read_text("utf-8")
    gateway = "\n".join(path.read_text("utf-8") for path in (ROOT / "happy" / "gateway").rglob("*.py"))
    handled = set(re.findall(r'^ +(?:return \{)?"([a-z-]+)": self\.', gateway, re.MULTILINE))
    emitted = set(
        re.findall(r'tag="([a-z-]+)"', (ROOT / "happy" / "domain" / "events.py").read_text("utf-8"))
    )

    assert len(handled) > 15
    assert len(emitted) > 15
    assert [] == sorted(
        name for name in handled | emitted if f"`{name}`" not in text and f"`{name} " not in text
    )
