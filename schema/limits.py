"""How much of a list is read at once."""

LARGE_ROW = 65_536
"""Rows whose contents are larger, in bytes, are read one at a time."""

LIST_BYTES = 2 * 1024 * 1024
"""Contents of the other rows that are read together; what is behind them is read one at a time, too."""
