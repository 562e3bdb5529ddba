"""Keeping freed memory: what a CPU training loop gives back and takes again thousands of times a minute."""

from __future__ import annotations

import ctypes
import sys

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4  # glibc, malloc.h


def keep_freed_memory() -> None:
    """Makes glibc keep large freed blocks instead of unmapping them.

    By default every feature map of tens of megabytes is mapped, faulted in page by page and unmapped again; kept
    blocks make a PDN training step on the CPU about a quarter faster. Elsewhere than on glibc nothing happens.
    """
    if sys.platform != "linux":
        return
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(M_MMAP_MAX, 0)
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_TOP_PAD, 256 << 20)
