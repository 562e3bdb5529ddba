"""Throughput: as many batches under way as an engine has slots, and what that costs in power."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from edgekd.data.pictures import Picture
from edgekd.data.resizing import resize_into
from edgekd.engines.base import Engine
from edgekd.errors import EdgekdError
from edgekd.profiling.power import measure_power

DEVICE_STAGES = ("h2d", "gpu_compute", "d2h")
FEWEST_BATCHES = 3


class Throughput(NamedTuple):
    """What was measured at one batch size.

    Attributes:
        frames_per_second: Resize included, decoding not.
        overlap: The device's copies and computing, added up over all slots, over the time that went by: above 1 they
            overlapped. None where the engine tells no stages of the device.
        power: What measured it, mean and peak watts, joules a frame, highest temperature; None where nothing measures.
    """

    frames_per_second: float
    overlap: float | None
    power: dict[str, Any] | None


def measure_throughput(engine: Engine, pictures: Sequence[Picture], batch: int, seconds: float) -> Throughput:
    """Keeps all slots of an engine busy.

    Args:
        engine: Taking this batch.
        pictures: Decoded, uint8 [H, W, 3] BGR; taken in turn.
        batch: Frames a batch.
        seconds: To go on for.

    Raises:
        EdgekdError: The engine takes another batch.
    """
    engine.collect(_start(engine, pictures, batch))
    device = 0.0
    with measure_power() as power:
        start, done = time.perf_counter(), 0
        tickets = deque(_start(engine, pictures, batch) for _ in range(engine.slots))
        while tickets:
            timings = engine.collect(tickets.popleft()).timings
            device += sum(timings.get(stage, 0.0) for stage in DEVICE_STAGES)
            done += 1
            if time.perf_counter() - start < seconds or done + len(tickets) < FEWEST_BATCHES:
                tickets.append(_start(engine, pictures, batch))
        elapsed = time.perf_counter() - start
    told = {
        "source": power.source,
        "mean_watts": power.mean_watts,
        "peak_watts": power.peak_watts,
        "joules_per_frame": power.joules_per_frame(done * batch),
        "highest_celsius": power.highest_celsius,
        "samples": power.samples,
    }
    overlap = device / 1e3 / elapsed if device else None
    return Throughput(done * batch / elapsed, overlap, told if power.samples else None)


def _start(engine: Engine, pictures: Sequence[Picture], batch: int) -> Any:
    frames = engine.lend(batch)
    if frames is None:
        raise EdgekdError("no slot of the engine is free: collect what was submitted first")
    for index, memory in enumerate(frames):
        resize_into(pictures[index % len(pictures)], memory)
    try:
        return engine.submit(frames)
    except BaseException:
        engine.give_back(frames)
        raise
