"""What the app draws of what it was sent: its own rule, so that tests compare pictures and not only sets."""

from collections.abc import Iterable
from typing import Any


def drawn(messages: Iterable[dict[str, Any]]) -> list[str]:
    """Texts of a chat from the newest to the oldest: by creation time, what arrived first first among equals.

    A message that arrives again replaces itself.
    """
    known = {message["id"]: message for message in messages}
    newest_first = sorted(known.values(), key=lambda message: -message["createdAt"])
    return [message["content"]["c"] for message in newest_first]
