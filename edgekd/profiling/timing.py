"""Timing: percentiles of many runs, and the record of the device that belongs to a timing."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

MOST_BINS = 32  # In a histogram.
GOVERNOR = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
STATISTICS = ("min", "mean", "median", "p90", "p95", "p99")


def summarise(milliseconds: Sequence[float]) -> dict[str, float]:
    """The statistics that trtexec reports, under its names.

    Args:
        milliseconds: One duration per run; at least one.

    Returns:
        min, mean, median, p90, p95, p99; percentiles are linearly interpolated.
    """
    values = np.asarray(milliseconds, np.float64)
    p90, p95, p99 = np.percentile(values, (90, 95, 99))
    figures = (values.min(), values.mean(), np.median(values), p90, p95, p99)
    return {name: float(figure) for name, figure in zip(STATISTICS, figures, strict=True)}


def distribution(milliseconds: Sequence[float]) -> dict[str, Any]:
    """The histogram of durations, with few enough bins for a report.

    Args:
        milliseconds: One duration per run; at least one.

    Returns:
        `edges_ms` from the shortest to the 99th percentile; `counts` between them; `above`, how many took longer.
    """
    values = np.asarray(milliseconds, np.float64)
    low, high = float(values.min()), float(np.percentile(values, 99))
    bins = min(MOST_BINS, round(2 * len(values) ** 0.5))
    edges = np.linspace(low, max(high, low * (1 + 1e-6)), bins + 1)
    counts = np.histogram(values, edges)[0]
    return {"edges_ms": edges.tolist(), "counts": counts.tolist(), "above": int(len(values) - counts.sum())}


def repeat_for(run: Callable[[], object], seconds: float, at_least: int = 3) -> list[float]:
    """Runs something again and again.

    Args:
        run: The function to time.
        seconds: How long to repeat it.
        at_least: Fewest runs, however long they take.

    Returns:
        Milliseconds of each run.
    """
    durations: list[float] = []
    end = time.perf_counter() + seconds
    while len(durations) < at_least or time.perf_counter() < end:
        start = time.perf_counter()
        run()
        durations.append((time.perf_counter() - start) * 1e3)
    return durations


def device_record(threads: int) -> dict[str, Any]:
    """The record of this machine that belongs to a timing.

    Args:
        threads: CPU threads that compute; 0 where a GPU does.
    """
    return {
        "processor": _processor_name(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "threads": threads,
        "governor": _read(GOVERNOR) or "not reported by the system",
    }


def _processor_name() -> str:
    for line in (_read(Path("/proc/cpuinfo")) or "").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _read(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:
        return None
