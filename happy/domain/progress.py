"""How far long work is: what it reports of itself, and that in words."""

from collections.abc import Callable
from typing import Final, Literal, NamedTuple

from happy.domain.amounts import counted, duration, size

Unit = Literal["byte", "row", "file", "session", "value", "step"]
PERCENT: Final = 100
ALMOST: Final = 99
"""Totals may be estimates, and a step that has all of it may still have to finish it."""


class Step(NamedTuple):
    """What is being done now, and how much of it is done. `total` is None where nobody knows it."""

    doing: str
    done: int = 0
    total: int | None = None
    unit: Unit = "row"


Progress = Callable[[Step], None]
"""Called again and again with what is being done now, also from other threads than the event loop's."""


def silent(_: Step) -> None:
    """For work whose progress is not shown."""


class Pace:
    """How fast a step is, and how long it takes still: times are seconds of any clock."""

    def __init__(self) -> None:
        self._doing = ""
        self._began = 0.0
        self._first = 0

    def is_at(self, step: Step) -> bool:
        """Whether this step is the one that was begun."""
        return step.doing == self._doing

    def begin(self, step: Step, now: float) -> None:
        self._doing, self._began, self._first = step.doing, now, step.done

    def share(self, step: Step) -> float | None:
        """From 0 to 0.99; None where nobody knows."""
        if not step.total or step.done > step.total:
            return None
        return min(step.done / step.total, ALMOST / PERCENT)

    def words(self, step: Step, now: float) -> list[str]:
        """Of the step that was begun: `42 %`, `1.2 MB of 2.9 MB`, `400.0 kB/s`, `0:04 left` or its time."""
        elapsed, share = now - self._began, self.share(step)
        found = [] if share is None else [f"{share * PERCENT:.0f} %"]
        if step.done or step.total:
            found.append(_amount(step, known=share is not None))
        if step.unit == "step" or step.done <= self._first or elapsed < 1:
            return [*found, duration(elapsed)]
        rate = (step.done - self._first) / elapsed
        found.append(f"{size(rate)}/s" if step.unit == "byte" else f"{counted(round(rate), step.unit)}/s")
        if share is None or step.total is None:
            return [*found, duration(elapsed)]
        return [*found, f"{duration((step.total - step.done) / rate)} left"]


def _amount(step: Step, *, known: bool) -> str:
    if step.unit == "byte":
        return f"{size(step.done)} of {size(step.total or 0)}" if known else size(step.done)
    if not known:
        return counted(step.done, step.unit)
    return f"{step.done:,} of {counted(step.total or 0, step.unit)}"
