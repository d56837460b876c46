"""Amounts in words: `1 row`, `1,234 rows`, `1.5 kB`, `2:05`."""

from typing import Final

UNITS: Final = ("B", "kB", "MB", "GB", "TB")
THOUSAND: Final = 1000
SIXTY: Final = 60


def counted(count: int, noun: str, plural: str = "") -> str:
    """Like `1 row`, `0 rows`, `1,234 rows`. `plural` is for nouns that do not simply get an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def size(count: float) -> str:
    """Bytes: `512 B`, `1.5 kB`, `23.4 MB`, `812.0 GB`."""
    value = float(count)
    for unit in UNITS[:-1]:
        if value < THOUSAND:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= THOUSAND
    return f"{value:,.1f} {UNITS[-1]}"


def duration(seconds: float) -> str:
    """Minutes and seconds, or hours: `0:07`, `12:31`, `3:00:59`."""
    minutes, rest = divmod(int(seconds), SIXTY)
    hours, minutes = divmod(minutes, SIXTY)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
