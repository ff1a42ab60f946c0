"""How freed memory is treated: kept for the next tensor, or handed back to the operating system."""

from __future__ import annotations

import ctypes
import platform
from functools import cache

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3
"""Parameters of glibc's mallopt (man 3 mallopt)."""

LARGEST = 2**31 - 1


@cache
def keep_freed_memory() -> None:
    """Let glibc keep what is freed, for the rest of the process. Other systems' allocators do so by themselves.

    As it comes, glibc gives each large block back at once, and the next layer's output of the same size has to be
    mapped and zeroed page by page again: a third of a small network's time on two cores.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(MMAP_THRESHOLD, 2**30)
    mallopt(TRIM_THRESHOLD, LARGEST)
