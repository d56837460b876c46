"""ThumbHash: about 20 bytes from which clients draw a blurred preview while a picture loads.

The public algorithm of evanw.github.io/thumbhash. Sums are taken in the same order and rounded half up as in
the reference implementation, so that the bytes are the same: sums near a rounding boundary depend on it.
"""

from collections.abc import Iterable, Sequence
from math import cos, floor, pi
from typing import Final, NamedTuple

MAX_SIDE: Final = 100
"""Neither side may have more pixels."""

Terms = tuple[float, list[float], float]
"""A channel as its constant, its varying terms scaled to 0..1, and their scale."""


class Channels(NamedTuple):
    """Brightness, two colour differences and opacity of every pixel."""

    luminance: list[float]
    yellow_blue: list[float]
    red_green: list[float]
    alpha: list[float]


def thumbhash(width: int, height: int, rgba: bytes) -> bytes:
    """The hash of an image of 8-bit RGBA pixels, row by row. Raises ValueError for an invalid size."""
    if not (0 < width <= MAX_SIDE and 0 < height <= MAX_SIDE and len(rgba) == 4 * width * height):
        raise ValueError("not a small image")
    channels = _channels(rgba)
    transparent = _sum(channels.alpha) < width * height
    limit = 5 if transparent else 7  # with opacity there is room for fewer terms of brightness
    longer = max(width, height)
    across, down = (max(1, _round(limit * side / longer)) for side in (width, height))
    size = (width, height)
    luminance = _terms(channels.luminance, size, max(3, across), max(3, down))
    colours = [_terms(channel, size, 3, 3) for channel in (channels.yellow_blue, channels.red_green)]
    alpha = _terms(channels.alpha, size, 5, 5) if transparent else None
    shorter = down if width > height else across
    header = _header(luminance, colours, alpha, shorter=shorter, landscape=width > height)
    varying = [term for _, terms, _ in (luminance, *colours, *([alpha] if alpha else ())) for term in terms]
    return header + _nibbles(varying)


def _channels(rgba: bytes) -> Channels:
    """Transparent pixels get the average colour."""
    alpha = [value / 255 for value in rgba[3::4]]
    total = _sum(alpha)
    colours = []
    for offset in range(3):
        values = rgba[offset::4]
        average = _sum(a / 255 * v for a, v in zip(alpha, values, strict=True)) / total if total else 0.0
        colours.append([average * (1 - a) + a / 255 * v for a, v in zip(alpha, values, strict=True)])
    red, green, blue = colours
    pixels = list(zip(red, green, blue, strict=True))
    return Channels(
        luminance=[(r + g + b) / 3 for r, g, b in pixels],
        yellow_blue=[(r + g) / 2 - b for r, g, b in pixels],
        red_green=[r - g for r, g, _ in pixels],
        alpha=alpha,
    )


def _terms(channel: list[float], size: tuple[int, int], across: int, down: int) -> Terms:
    """The low frequencies of a channel: the upper left triangle of its cosine transform."""
    width, height = size
    columns = [
        [value * weight for value, weight in zip(channel, _wave(frequency, width) * height, strict=True)]
        for frequency in range(across)
    ]
    constant = 0.0
    terms: list[float] = []
    for cy in range(down):
        weights = [weight for weight in _wave(cy, height) for _ in range(width)]
        for cx in range(across):
            if cx * down >= across * (down - cy):
                break
            weighted = (value * weight for value, weight in zip(columns[cx], weights, strict=True))
            term = _sum(weighted) / (width * height)
            if cx or cy:
                terms.append(term)
            else:
                constant = term
    scale = max(map(abs, terms), default=0.0)
    return constant, [0.5 + 0.5 / scale * term for term in terms] if scale else terms, scale


def _wave(frequency: int, length: int) -> list[float]:
    return [cos(pi / length * frequency * (position + 0.5)) for position in range(length)]


def _sum(values: Iterable[float]) -> float:
    """A naive sum: the built-in `sum` compensates rounding errors since Python 3.12."""
    total = 0.0
    for value in values:
        total += value
    return total


def _header(
    luminance: Terms, colours: Sequence[Terms], alpha: Terms | None, *, shorter: int, landscape: bool
) -> bytes:
    (yellow_blue, _, yellow_blue_scale), (red_green, _, red_green_scale) = colours
    first = (
        _round(63 * luminance[0])
        | _round(31.5 + 31.5 * yellow_blue) << 6
        | _round(31.5 + 31.5 * red_green) << 12
        | _round(31 * luminance[2]) << 18
        | (alpha is not None) << 23
    )
    second = (
        shorter | _round(63 * yellow_blue_scale) << 3 | _round(63 * red_green_scale) << 9 | landscape << 15
    )
    header = first.to_bytes(3, "little") + second.to_bytes(2, "little")
    if alpha is None:
        return header
    return header + bytes([_round(15 * alpha[0]) | _round(15 * alpha[2]) << 4])


def _nibbles(terms: Sequence[float]) -> bytes:
    packed = bytearray((len(terms) + 1) // 2)
    for position, term in enumerate(terms):
        packed[position >> 1] |= _round(15 * term) << (4 * (position & 1))
    return bytes(packed)


def _round(value: float) -> int:
    """Rounds half up, unlike the built-in `round`."""
    return floor(value + 0.5)
