"""What a connection needs of its transport; the two kinds are `websocket.py` and `polling.py`."""

from typing import Protocol


class Transport(Protocol):
    """Carries Engine.IO packets to the client. No method blocks or raises."""

    name: str
    ready: bool  # `write` may be called now; otherwise packets wait in the connection's queue

    def write(self, packet: str) -> None:
        """Send one packet at once."""

    def flush(self) -> None:
        """The queue is not empty: send from it as soon as possible."""

    def close(self, *, abort: bool = False) -> None:
        """Close the link; with `abort` without waiting for a peer that may not read any more."""
