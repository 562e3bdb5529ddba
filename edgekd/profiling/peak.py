"""What the device can do at best, measured: the yardstick for what a graph achieves."""

from __future__ import annotations

import time

import numpy as np

SIDE = 1536  # Of the square matrices: 27 MB in all, past the private caches, so that blocking is at work.


def peak_macs_fp32(seconds: float = 2.0) -> float:
    """Multiply-accumulates a second of large float32 matrix products, on as many cores as the process may use.

    Args:
        seconds: To measure for; the best product counts.
    """
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
    product = np.empty((SIDE, SIDE), np.float32)
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(left, right, out=product)
        best = min(best, time.perf_counter() - start)
    return float(SIDE**3 / best)
