"""Times of changes go on when the clock is set back a little, and follow it when it was far ahead."""

from happy.services.steady_clock import LARGEST_STEP, SteadyClock
from tests.support.factories import NOW
from tests.unit.services.world import Clock


def test_it_is_the_time_of_the_clock() -> None:
    clock = Clock()
    steady = SteadyClock(clock)
    times = [steady(), steady(), clock.advance(seconds=1)]

    assert [NOW, NOW, steady()] == times


def test_while_the_clock_is_behind_every_time_is_later_than_the_one_before() -> None:
    clock = Clock()
    steady = SteadyClock(clock)
    times = [steady()]
    clock.advance(seconds=-30)
    times += [steady(), steady()]
    clock.advance(seconds=10)
    times.append(steady())
    clock.advance(seconds=21)
    times.append(steady())

    assert [NOW, NOW + 1, NOW + 2, NOW + 3, NOW + 1_000] == times


def test_a_clock_that_was_far_ahead_is_followed_back() -> None:
    clock = Clock()
    steady = SteadyClock(clock)
    clock.advance(seconds=LARGEST_STEP / 1_000 + 1)
    steady()
    clock.advance(seconds=-LARGEST_STEP / 1_000 - 1)

    assert [NOW, NOW] == [steady(), steady()]
