"""Names that clients choose: ids, tags, local ids, keys. Indexes and caches hold them, so they are short."""

from typing import Annotated

from msgspec import Meta

from happy.limits import limit

MAX_NAME = limit(
    500,
    "characters of an id, a tag, a local id, or a key that a client names",
    per="name",
    then="400; events: as other invalid parameters",
)
"""Clients use UUIDs, and keys of some 20 characters. PostgreSQL indexes no text of more than 2,704 bytes."""

Name = Annotated[str, Meta(max_length=MAX_NAME)]


def is_name(value: object) -> bool:
    """Whether it is a text that is short enough for a name."""
    return isinstance(value, str) and len(value) <= MAX_NAME
