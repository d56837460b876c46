"""Bounds on how much of a list is read into memory at once."""

LARGE_ROW = 65_536
"""In bytes: rows with larger contents are read one at a time."""

LIST_BYTES = 2 * 1024 * 1024
"""In bytes: contents of other rows that are read together; rows beyond are read one at a time, too."""
