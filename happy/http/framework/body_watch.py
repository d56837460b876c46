"""Whether a request's body arrives fast enough, and is worth its framing."""

from happy.http.framework import request_limits as limits


class BodyWatch:
    """What has arrived of one body since its head was complete; times are those of the event loop, in s."""

    __slots__ = ("_arrived", "_began", "_content", "_wire", "_without_content")

    def __init__(self, now: float, content: int) -> None:
        self._began = self._arrived = now
        self._content = content
        self._wire = content  # what the first packets brought besides is part of the head
        self._without_content = 0

    def arrived(self, now: float, wire: int, content: int) -> bool:
        """So many bytes have arrived, and `content` in all; false if too few of them are content."""
        self._arrived = now
        self._wire += wire
        self._without_content = 0 if content > self._content else self._without_content + wire
        self._content = content
        framing = self._wire - content
        return self._without_content <= limits.MAX_TRAILERS and framing <= limits.MAX_FRAMING + content

    def was_not_read(self, now: float, seconds: float) -> None:
        """The handler did not want more for the last seconds: they are not the client's."""
        self._began += seconds
        self._arrived = now

    def is_too_slow(self, now: float) -> bool:
        """The client has stopped sending, or is slower than any network."""
        seconds = now - self._began
        enough = limits.SLOW_BODY_SECONDS + self._content / limits.BODY_BYTES_A_SECOND
        return now - self._arrived >= limits.BODY_SECONDS or seconds > min(enough, limits.WHOLE_BODY_SECONDS)
