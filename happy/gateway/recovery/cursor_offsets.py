"""Gives replayed packets the cursor of the client: what was kept here before it came may have none."""

import re
from collections.abc import Iterable, Iterator

from happy.gateway.recovery.cursors import advanced, cursor_text, split_cursor
from happy.gateway.recovery.history import last_argument

OFFSET = re.compile(r"[0-9a-f]{8}\.\d+(-.*)?|-.*")
"""An offset without its cursor; packets of states have none, and end with other text."""


def with_cursors(packets: Iterable[bytes], read_up_to: int | None) -> Iterator[bytes]:
    """Each packet with the cursor after it. `read_up_to` is the cursor before them, None if there is none."""
    cursor = read_up_to
    for packet in packets:
        cursor = advanced(cursor, packet)
        last = last_argument(packet)
        offset, _ = split_cursor(last)
        if cursor is None or not OFFSET.fullmatch(offset):
            yield packet
        else:
            yield b'%b%b"]' % (packet[: -2 - len(last)], f"{offset}{cursor_text(cursor)}".encode())
