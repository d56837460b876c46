"""Token buckets in memory: bounded, and forgotten when they are full."""

from happy.domain.token_buckets import TokenBuckets

WINDOW = 60_000.0


def test_full_buckets_are_forgotten() -> None:
    buckets = TokenBuckets(WINDOW)
    for number in range(1000):
        buckets.take(number, 1, now=2 * number)

    assert len(buckets) <= 2


def test_the_least_recently_used_buckets_are_forgotten_when_there_are_too_many() -> None:
    buckets = TokenBuckets(WINDOW, most=10)
    assert 0 == buckets.take("busy", WINDOW, 0)
    for number in range(1000):
        buckets.take(number, WINDOW, 0)
        assert buckets.take("busy", 1, 0)

    assert 10 == len(buckets)


def test_what_is_owed_is_bounded() -> None:
    buckets = TokenBuckets(WINDOW)

    assert 3 * WINDOW == max(buckets.reserve("a", WINDOW, 0) for _ in range(100)) + WINDOW
    assert 0 == buckets.take("a", 1, 2 * WINDOW)


def test_a_clock_that_stands_still_refills_nothing() -> None:
    buckets = TokenBuckets(WINDOW)

    assert [0] * 60 == [buckets.take("a", 1000, 5) for _ in range(60)]
    assert 1000 == buckets.take("a", 1000, 5)
    assert 1 == buckets.take("a", 1000, 1004)
    assert 0 == buckets.take("a", 1000, 1005)
