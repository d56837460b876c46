"""Counting calls in a window of time that only passes."""

from happy.domain.values import MINUTE, Millis
from happy.services.rate_limit import Window


class Elapsed:
    def __init__(self) -> None:
        self.now = Millis(5)

    def __call__(self) -> Millis:
        return self.now


def test_a_window_ends_a_minute_after_its_first_call() -> None:
    elapsed = Elapsed()
    window = Window(2, Millis(MINUTE), elapsed)

    assert [True, True, False] == [window.allow("a") for _ in range(3)]
    assert window.allow("b")
    elapsed.now = Millis(4 + MINUTE)
    assert not window.allow("a")
    elapsed.now = Millis(5 + MINUTE)
    assert window.allow("a")
