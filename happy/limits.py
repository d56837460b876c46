"""The registry of limits: every bound on what a peer can make the server keep or do.

A limit is declared where it is enforced, and is a plain number there:

    MAX_METHODS = limit(1_000, "RPC methods registered", per="connection", then="`rpc-error`")

`make limits` writes them into `docs/limits.md`; a test fails when a constant `MAX_...` is missing there.
"""

from typing import TypeVar

from msgspec import Struct

N = TypeVar("N", int, float)


class Limit(Struct, frozen=True):
    """One row of `docs/limits.md`."""

    value: float
    what: str
    """What is counted, with its unit: "RPC methods registered", "bytes of one packet"."""

    per: str
    """For whom it counts: connection, account, address, request, replica."""

    then: str
    """What happens beyond it, as the peer sees it."""

    setting: str | None


LIMITS: list[Limit] = []
"""Those of the modules that were imported."""


def limit(value: N, what: str, per: str, then: str, setting: str | None = None) -> N:
    """Declare a limit; returns `value`. `setting` is the variable that changes it, whose default it is."""
    LIMITS.append(Limit(value, what, per, then, setting))
    return value
