"""Allocator settings: whether freed memory is kept for the next tensor or returned to the operating system."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (man 3 mallopt)."""

LARGEST = 2**31 - 1


@cache
def keep_freed_memory() -> None:
    """Make glibc keep freed memory for the rest of the process. Other systems' allocators do so by default.

    By default, glibc returns each large block at once. The next layer's output of the same size then has to be mapped
    and zeroed page by page again, which takes a third of a small network's time on two cores.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(MMAP_THRESHOLD, 2**30)
    mallopt(TRIM_THRESHOLD, LARGEST)
