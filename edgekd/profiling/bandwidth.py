"""The device's memory bandwidth, measured: the limit for layers that compute little."""

from __future__ import annotations

import itertools
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from edgekd.engines.cores import usable_cores

MEBIBYTE = 1 << 20
SMALLEST, LARGEST = 64 * MEBIBYTE, 512 * MEBIBYTE  # Size of each of the three arrays.
CONVENTION = (
    "STREAM's add, c = a + b, over float32 in numpy on all usable cores: two reads and one write are counted, what a "
    "cache reads before it writes is not; the best pass, before and after the other measurements"
)


def memory_bandwidth(seconds: float = 1.0, array_bytes: int | None = None) -> float:
    """Bytes per second that adding large arrays reads and writes, on as many cores as the process may use.

    Args:
        seconds: How long to measure; the best pass counts.
        array_bytes: Size of each of the three arrays; None for half the last-level cache, so that the three do not fit
            in it.
    """
    cores = usable_cores()
    count = (array_bytes or _past_the_cache()) // 4
    left, right, total = (np.ones(count, np.float32) for _ in range(3))
    ends = np.linspace(0, count, cores + 1).astype(int)
    parts = [slice(start, end) for start, end in itertools.pairwise(ends)]

    def add(part: slice) -> None:
        np.add(left[part], right[part], out=total[part])

    best, passes, end = np.inf, 0, time.perf_counter() + seconds
    with ThreadPoolExecutor(cores) as pool:
        while passes < 3 or time.perf_counter() < end:
            start = time.perf_counter()
            list(pool.map(add, parts))
            best = min(best, time.perf_counter() - start)
            passes += 1
    return float(3 * total.nbytes / best)


def _past_the_cache() -> int:
    return min(max(_last_level_cache() // 2, SMALLEST), LARGEST)


def _last_level_cache() -> int:
    """Bytes of the largest cache that the system reports; 0 where it reports none."""
    sizes = [0]
    for file in Path("/sys/devices/system/cpu/cpu0/cache").glob("index*/size"):
        found = re.fullmatch(r"(\d+)([KM]?)", file.read_text().strip())
        if found is not None:
            sizes.append(int(found[1]) * {"": 1, "K": 1 << 10, "M": MEBIBYTE}[found[2]])
    return max(sizes)
