"""How many inferences at a time give the most frames a second in OpenVINO on this CPU: measured once, then known."""

from __future__ import annotations

import logging
import time
from collections import deque
from pathlib import Path
from typing import Final, Literal

import numpy as np

from edgekd.artifact import Manifest
from edgekd.engines.remembered import remembered
from edgekd.errors import EdgekdError

logger = logging.getLogger("edgekd.engines")

AUTO: Final = "auto"
Streams = int | Literal["auto"]

SECONDS = 0.5  # For which each number of streams is measured.
FEWEST = 3  # Inferences of each stream, however long they take.
ALIKE = 1.03  # Frames a second that are less apart are a matter of chance.


def check_streams(streams: Streams, threads: int, slots: int | None) -> None:
    """Refuses a number of streams that the threads cannot be shared among, or that slots leave without work.

    Raises:
        EdgekdError: It is below 1, or above the number of threads or of slots.
    """
    if streams == AUTO:
        return
    if not isinstance(streams, int) or streams < 1:
        raise EdgekdError(f"streams must be a positive integer or auto, got {streams}")
    if streams > threads:
        raise EdgekdError(f"--streams {streams} needs as many threads, and there are {threads}: give at most {threads}")
    if slots is not None and streams > slots:
        raise EdgekdError(f"--streams {streams} needs as many slots, or threads would idle: --slots {streams} or more")


def fastest_streams(path: Path, manifest: Manifest, threads: int, version: str) -> int:
    """The number of streams that gives the most frames a second for a graph.

    Args:
        path: The graph.
        manifest: Its manifest, already checked against the file.
        threads: That compute, shared among the streams.
        version: Of OpenVINO.
    """
    candidates = [count for count in (1, 2, 4, 8, 16, 32, 64) if count < threads] + [threads]
    if candidates == [1]:
        return 1
    key = f"{manifest['sha256'][:16]} {threads} threads openvino {version}"
    return remembered("streams.json", key, candidates, lambda: _fastest(path, manifest, threads, candidates))


def _fastest(path: Path, manifest: Manifest, threads: int, candidates: list[int]) -> int:
    logger.info("measuring how many inferences at a time give the most frames a second; this is remembered")
    rates = {count: _rate(path, manifest, threads, count) for count in candidates}
    fast = [count for count in candidates if rates[count] * ALIKE >= max(rates.values())]
    # The threads of one stream wait for each other at every layer: whatever else wants a core, such as a reader that
    # decodes images, makes all of them wait. Several streams do not wait, so a draw is theirs.
    return min((count for count in fast if count > 1), default=1)


def _rate(path: Path, manifest: Manifest, threads: int, streams: int) -> float:
    """Batches a second, as many in flight as there are slots."""
    from edgekd.engines.openvino import OpenVINOEngine

    with OpenVINOEngine(path, manifest, threads, streams=streams) as engine:
        spec = engine.spec
        frames = np.random.default_rng(0).integers(0, 256, (spec.batch or 1, spec.height, spec.width, 3), np.uint8)
        for ticket in [engine.submit(frames) for _ in range(engine.slots)]:  # To warm up each.
            engine.collect(ticket)
        start, done = time.perf_counter(), 0
        flying = deque(engine.submit(frames) for _ in range(engine.slots))
        # All streams end at about the same time: to stop between them would count too few.
        while time.perf_counter() - start < SECONDS or done < FEWEST * streams or done % streams:
            engine.collect(flying.popleft())
            done += 1
            flying.append(engine.submit(frames))
        elapsed = time.perf_counter() - start
        for ticket in flying:
            engine.collect(ticket)
    return done / elapsed
