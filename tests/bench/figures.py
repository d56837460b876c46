"""What was measured, beside what is aimed at."""

from collections.abc import Iterable
from typing import Literal

import msgspec

RATIO = "x"
Field = Literal["value", "p50"]


class Aim(msgspec.Struct, frozen=True):
    """A bound that a figure should keep, on two cores."""

    bound: float
    at_least: bool = True
    of: Field = "value"

    def met(self, figure: "Figure") -> bool:
        measured: float | None = getattr(figure, self.of)
        assert measured is not None, f"{figure.name} has no {self.of}"
        return measured >= self.bound if self.at_least else measured <= self.bound

    def text(self, unit: str) -> str:
        relation = ">=" if self.at_least else "<="
        return (
            f"{relation} {self.bound:,g} {unit}"
            if self.of == "value"
            else f"{self.of} {relation} {self.bound:g} ms"
        )


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table. Times are milliseconds, the server's CPU time is per unit of `value`."""

    name: str
    value: float
    unit: str
    p50: float | None = None
    p99: float | None = None
    cpu_us: float | None = None
    aim: Aim | None = None

    @property
    def higher_is_better(self) -> bool:
        return self.unit.endswith("/s") or (self.aim is not None and self.aim.at_least)


def percentile(sorted_values: list[float], share: float) -> float:
    return sorted_values[min(len(sorted_values) - 1, int(len(sorted_values) * share))]


def best(rounds: Iterable[Figure]) -> Figure:
    """The round that other programs on this machine disturbed least; of comparisons the one in the middle."""
    figures = list(rounds)
    if (
        figures[0].unit == RATIO
    ):  # both sides of one round; the best would be the one where the other had bad luck
        return sorted(figures, key=lambda figure: figure.value)[len(figures) // 2]
    pick = max if figures[0].higher_is_better else min
    return pick(figures, key=lambda figure: figure.value)


WIDTH = 52
HEAD = f"{'':{WIDTH}}{'':>20}{'p50 ms':>9}{'p99 ms':>9}{'CPU us':>8}  aim"


def line(figure: Figure) -> str:
    value = f"{figure.value:,.{0 if figure.value >= 100 else 2}f} {figure.unit}"
    aim = ""
    if figure.aim is not None:
        aim = f"{figure.aim.text(figure.unit)}: {'met' if figure.aim.met(figure) else 'MISSED'}"
    cells = [_cell(figure.p50, 9, 2), _cell(figure.p99, 9, 2), _cell(figure.cpu_us, 8, 0)]
    return f"{figure.name:{WIDTH}}{value:>20}{''.join(cells)}  {aim}".rstrip()


def _cell(value: float | None, width: int, digits: int) -> str:
    return " " * width if value is None else f"{value:>{width}.{digits}f}"
