"""How far the clock of Redis, which all replicas share, is ahead of this machine's."""

from happy.adapters.full.redis.envelopes import Execute
from happy.adapters.steady_clock import steady_time

SAMPLES = 3


async def clock_difference(execute: Execute) -> int:
    """In ms, by the response with the shortest round trip: the error is half of that at most."""
    samples = []
    for _ in range(SAMPLES):
        before = steady_time()
        seconds, micros = await execute("TIME")
        after = steady_time()
        redis_ms = int(seconds) * 1000 + int(micros) / 1000
        samples.append((after - before, redis_ms - (before + after) * 500))
    return round(min(samples)[1])
