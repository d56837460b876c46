"""Has the memory of large bodies given back to the system when they are freed.

glibc keeps blocks of up to 32 MB to itself once one of that size was freed, and mixes them with small ones:
after a few messages of 15 MB a server that needs 100 MB keeps 200 MB for good.
"""

import ctypes
from contextlib import suppress
from typing import Final

M_TRIM_THRESHOLD: Final = -1
M_MMAP_THRESHOLD: Final = -3
"""Names of parameters in `malloc.h`."""

LARGE_BLOCK: Final = 1024 * 1024
"""Bytes of a block that is a mapping of its own. What is read from a connection at once has 256 KiB."""

FREE_AT_THE_END: Final = 8 * 1024 * 1024
"""Bytes that are kept at the end of the heap; giving back less would cost a system call for each read."""


def return_small_blocks() -> None:
    """Give back what is free among blocks in use, such as the pieces in which a large row was received.

    It takes some ms. Does nothing where the C library is another one.
    """
    with suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def return_large_blocks() -> None:
    """Does nothing where the C library is another one."""
    with suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(M_MMAP_THRESHOLD, LARGE_BLOCK)
        mallopt(M_TRIM_THRESHOLD, FREE_AT_THE_END)
