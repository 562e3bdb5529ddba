"""Throughput: as many batches in flight as an engine has slots, with readers and without, and the power it takes."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from edgekd.data.images import Image
from edgekd.data.preparing import prepare_into
from edgekd.engines.base import EVERY_MAP, Engine, EngineSpec, Frames
from edgekd.errors import EdgekdError
from edgekd.machine.power import measure_power
from edgekd.runner.pipeline import error_of, inspect_stream
from edgekd.runner.reading import by_image
from edgekd.runner.sources import Frame
from edgekd.verdicts.limits import Limits

DEVICE_STAGES = ("h2d", "gpu_compute", "d2h")
FEWEST_BATCHES = 3


class Throughput(NamedTuple):
    """The throughput at one batch size.

    Attributes:
        frames_per_second: Through the runner: readers resize; decoding is not included.
        engine_frames_per_second: With frames that are already in the engine's slots.
        overlap: Time of the device's copies and kernels, summed over all slots, over the wall-clock time of the run
            without readers: above 1 they overlapped. None where the engine does not report the device's stages.
        power: Source, mean and peak watts, joules per frame and highest temperature of the run with readers; None where
            nothing measures power.
    """

    frames_per_second: float
    engine_frames_per_second: float
    overlap: float | None
    power: dict[str, Any] | None


def measure_throughput(
    engine: Engine, images: Sequence[Image], batch: int, seconds: float, readers: int | None = None
) -> Throughput:
    """Keeps all slots of an engine busy: first with frames that are already there, then through the runner.

    Args:
        engine: One that takes this batch size.
        images: Decoded, uint8 [H, W, 3] BGR; taken in turn.
        batch: Frames per batch, each with all of its tiles.
        seconds: How long to measure each of the two.
        readers: Threads that resize; None for the runner's default.

    Raises:
        EdgekdError: The engine takes another batch size, or failed.
    """
    bare, overlap = _of_the_engine(engine, images, batch, seconds)
    with measure_power(_gpu_of(engine.spec)) as power:
        start, done = time.perf_counter(), 0
        frames = _frames_for(images, batch, start, seconds)
        for answer in inspect_stream(engine, frames, Limits(np.inf), EVERY_MAP, readers=readers, batch=batch):
            if answer.result.error is not None:
                raise EdgekdError(f"throughput cannot be measured: {error_of(answer)}")
            done += 1
        elapsed = time.perf_counter() - start
    measured = {
        "source": power.source,
        "mean_watts": power.mean_watts,
        "peak_watts": power.peak_watts,
        "joules_per_frame": power.joules_per_frame(done),
        "highest_celsius": power.highest_celsius,
        "samples": power.samples,
    }
    return Throughput(done / elapsed, bare, overlap, measured if power.samples else None)


def _gpu_of(spec: EngineSpec) -> str | None:
    """The NVIDIA GPU whose power is measured, as `measure_power` takes it."""
    return spec.gpu_uuid or ("" if spec.gpu_index is not None else None)


def _frames_for(images: Sequence[Image], batch: int, start: float, seconds: float) -> Iterator[Frame]:
    """Decoded images in turn, in whole batches, until the time is over."""
    number = 0
    while number % batch or number < FEWEST_BATCHES * batch or time.perf_counter() - start < seconds:
        yield Frame(str(number), partial(images.__getitem__, number % len(images)))
        number += 1


def _of_the_engine(engine: Engine, images: Sequence[Image], batch: int, seconds: float) -> tuple[float, float | None]:
    """Frames per second, and the overlap, where every slot already holds its frames."""
    engine.collect(_submitted(engine, _filled(engine, images, batch)))  # To warm up, and to check the batch size.
    for frames in [_filled(engine, images, batch) for _ in range(engine.slots)]:
        engine.release(frames)
    device = 0.0
    start, done = time.perf_counter(), 0
    tickets = deque(_submitted(engine, _acquired(engine, batch)) for _ in range(engine.slots))
    while tickets:
        timings = engine.collect(tickets.popleft()).timings
        device += sum(timings.get(stage, 0.0) for stage in DEVICE_STAGES)
        done += 1
        if time.perf_counter() - start < seconds or done + len(tickets) < FEWEST_BATCHES:
            tickets.append(_submitted(engine, _acquired(engine, batch)))
    elapsed = time.perf_counter() - start
    return done * batch / elapsed, device / 1e3 / elapsed if device else None


def _filled(engine: Engine, images: Sequence[Image], batch: int) -> Frames:
    frames = _acquired(engine, batch)
    for index, memory in enumerate(by_image(frames, engine.preprocessing)):
        prepare_into(images[index % len(images)], memory, engine.preprocessing)
    return frames


def _acquired(engine: Engine, batch: int) -> Frames:
    frames = engine.acquire(batch * engine.preprocessing.tiles)
    if frames is None:
        raise EdgekdError("no slot of the engine is free: collect what was submitted first")
    return frames


def _submitted(engine: Engine, frames: Frames) -> Any:
    try:
        return engine.submit(frames)
    except BaseException:
        engine.release(frames)
        raise
