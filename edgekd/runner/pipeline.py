"""The pipeline: readers prepare frames for the engine's slots while others are computed; answers keep their order."""

from __future__ import annotations

import contextlib
import logging
import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edgekd.data.images import Image, as_bgr8
from edgekd.data.preparing import Placement, assemble, frame_score, prepare
from edgekd.data.view_geometry import cropped, looking_tiles
from edgekd.engines.base import EVERY_MAP, NO_MAP, Engine, Frames, Outputs
from edgekd.errors import EdgekdError, ImageError, MachineError, one_line
from edgekd.result import AnomalyResult, error_result, verdict_of
from edgekd.runner.reading import Read, Readers, by_image, default_readers
from edgekd.runner.sources import Frame
from edgekd.verdicts.frozen import FrozenCamera
from edgekd.verdicts.image_checks import Statistics, statistics
from edgekd.verdicts.limits import Limits
from edgekd.verdicts.regions import NO_REGIONS, find_regions

logger = logging.getLogger("edgekd.runner")

STAGES = ("pre", "inference", "post", "end_to_end")


class Answer(NamedTuple):
    """The answer for a frame of a stream.

    Attributes:
        name: The frame's: its path inside the folder, or its number.
        image: As it was read, uint8 [H, W, 3] BGR; None where it was not kept.
        result: Score, verdict, anomaly map and timings.
        dropped: Frames of a live source that were dropped just before this one.
        seen: What the checks of the image measured; None where there are none.
        notices: What the monitor has to say since the answer before, a line each.
    """

    name: str
    image: Image | None
    result: AnomalyResult
    dropped: int = 0
    seen: Statistics | None = None
    notices: tuple[str, ...] = ()


def error_of(answer: Answer) -> str:
    """What went wrong with a frame, with its name.

    Args:
        answer: With verdict ERROR.
    """
    error = answer.result.error or "there is no clean answer"
    return error if answer.name in error else f"{answer.name}: {error}"


def log_failure(what: str, error: Exception) -> None:
    """Logs a fault of ours that costs no more than one frame: in one line, with its place where details are shown.

    Args:
        what: Failed.
        error: That it failed with.
    """
    logger.error("%s: %s: %s", what, type(error).__name__, one_line(error), exc_info=logger.isEnabledFor(logging.DEBUG))


class _Filling(NamedTuple):
    """A slot that frames are read into."""

    memory: Frames
    reads: list[Future[Read]]


class _Running(NamedTuple):
    """A batch that the engine works on; no ticket where it could not start."""

    reads: list[Read]
    ticket: Any
    submitted: float
    error: str | None


class _Times(NamedTuple):
    """When a frame started, was submitted and inferred, in seconds; how long reading it took, in milliseconds."""

    started: float
    reading: float
    submitted: float
    inferred: float


def inspect_image(
    engine: Engine,
    image: NDArray[Any],
    limits: Limits,
    maps_above: float = EVERY_MAP,
    seen: Statistics | None = None,
) -> AnomalyResult:
    """Inspects one decoded image and waits for the answer.

    Args:
        engine: One with a fixed batch size gets the image as often as its batch holds it.
        image: As `edgekd.data.images.as_bgr8` takes it, of any size from 16 pixels a side.
        limits: What scores and maps are judged by.
        maps_above: The answer holds the anomaly map where the score is above it.
        seen: What the checks of the image go by, where the caller has measured it.

    Raises:
        ImageError: The image is of another type or shape.
    """
    started = time.perf_counter()
    image = as_bgr8(image, "the image", engine.preprocessing.bit_depth)
    try:
        if limits.checks:
            seen = seen or statistics(cropped(image, engine.preprocessing.view))
            if (failure := limits.checks.failure(seen)) is not None:
                return error_result(failure)
        frames, placement = prepare(image, engine.preprocessing)
    except ImageError as error:
        return error_result(str(error))
    whole = whole_batch(engine, frames)
    prepared = time.perf_counter()
    outputs = engine.infer(whole, maps_above)
    inferred = time.perf_counter()
    times = _Times(started, (prepared - started) * 1e3, prepared, inferred)
    return _result(engine, outputs, 0, placement, limits, maps_above, times)


def whole_batch(engine: Engine, frames: Frames) -> Frames:
    """The tiles of one image as a batch that an engine takes: as often as its fixed batch holds them.

    Args:
        engine: Of any batch size.
        frames: uint8 [tiles, h, w, 3].
    """
    times = images_per_batch(engine)
    return np.ascontiguousarray(np.broadcast_to(frames, (times, *frames.shape))).reshape(-1, *frames.shape[1:])


def images_per_batch(engine: Engine) -> int:
    """The images of the camera in an engine's batch; 1 where it takes any.

    Args:
        engine: Whose batch counts the tiles of images.

    Raises:
        EdgekdError: Its fixed batch does not hold whole images.
    """
    tiles, batch = engine.preprocessing.tiles, engine.spec.batch
    if batch is None:
        return 1
    if batch % tiles:
        raise EdgekdError(f"this engine takes batches of {batch}, and an image has {tiles} tiles: export it again")
    return batch // tiles


def inspect_stream(
    engine: Engine,
    frames: Iterable[Frame],
    limits: Limits,
    maps_above: float = NO_MAP,
    keep_images: bool = False,
    live: bool = False,
    readers: int | None = None,
    batch: int | None = None,
    frozen_after: int | None = None,
) -> Iterator[Answer]:
    """Inspects a stream of frames; reading, computing and answering overlap.

    A frame that cannot be read, fails a check or makes the engine fail is answered with ERROR, and the stream goes on.

    Args:
        engine: Of any batch size; this thread must be the one that opened it.
        frames: The source.
        limits: What scores and maps are judged by.
        maps_above: Answers hold the anomaly map where the score is above it: EVERY_MAP, NO_MAP, or the threshold.
        keep_images: Whether answers hold the image as it was read.
        live: Whether the source cannot wait, such as a camera; then the oldest waiting frames are dropped.
        readers: Threads that decode and resize; None for `default_readers`.
        batch: Frames per batch, each with all of its tiles, for an engine that takes any; None for the engine's own,
            or 1.
        frozen_after: Equal frames in a row from which on the camera counts as frozen, where the limits hold that check;
            None where frames may repeat.

    Yields:
        One answer per frame, in the order of the frames.

    Raises:
        MachineError: The engine's device no longer answers, or an inference does not end. Frames in flight get verdict
            ERROR first.
        EdgekdError: The engine was closed meanwhile. Frames in flight get verdict ERROR first.
        Exception: The source's, after the frames before it are answered.
    """
    batch = batch or images_per_batch(engine)
    readers = readers or default_readers(engine.spec)
    filling: deque[_Filling] = deque()
    running: deque[_Running] = deque()
    at_once = engine.spec.streams  # With fewer batches running a stream is idle: what is being read comes first.
    camera = FrozenCamera(frozen_after) if frozen_after is not None and limits.checks.frozen else None
    digests = camera is not None
    with Readers(iter(frames), engine, batch, readers, live, keep_images, limits.checks, digests) as reading:
        try:
            while True:
                memory = None
                while (
                    engine.broken is None
                    and not engine.closed
                    and (memory := engine.acquire(batch * engine.preprocessing.tiles)) is not None
                ):
                    reads = reading.next_batch(memory, wait=not filling and not running)
                    if not reads:
                        engine.release(memory)
                        break
                    filling.append(_Filling(memory, reads))
                while filling and (len(running) < at_once or all(read.done() for read in filling[0].reads)):
                    running.append(_start(engine, filling.popleft(), maps_above, camera))
                if running:
                    yield from _finish(engine, running.popleft(), limits, maps_above)
                elif engine.closed:
                    engine.require_open()  # Refuses: whoever closed it meanwhile wants no more answers.
                elif engine.broken is not None:
                    raise MachineError(f"{engine.broken}; the frames that follow were not inspected: start again")
                elif reading.ended:
                    reading.raise_failure()
                    return
                elif memory is None:
                    raise EdgekdError("all slots of the engine are in use: collect or release them first")
        finally:  # The caller may stop early: the engine must release our frames.
            for left in filling:
                for read in left.reads:
                    read.cancel() or read.exception()
                with contextlib.suppress(EdgekdError):  # The engine may be closed by now.
                    engine.release(left.memory)
            for started in running:
                if started.ticket is not None:
                    with contextlib.suppress(Exception):
                        engine.collect(started.ticket)


def _start(engine: Engine, filled: _Filling, maps_above: float, camera: FrozenCamera | None) -> _Running:
    reads = [_not_frozen(read.result(), camera) for read in filled.reads]
    for read, memory in zip(reads, by_image(filled.memory, engine.preprocessing), strict=False):
        if read.error is not None:
            memory[:] = 0  # Not what the slot held before: no answer may come from another part's image.
        elif not np.may_share_memory(read.resized, memory):  # It was read ahead.
            np.copyto(memory, read.resized)
    submitted = time.perf_counter()
    if all(read.error for read in reads):
        with contextlib.suppress(EdgekdError):
            engine.release(filled.memory)
        return _Running(reads, None, submitted, None)
    try:
        return _Running(reads, engine.submit(filled.memory, maps_above), submitted, None)
    except Exception as failure:
        with contextlib.suppress(EdgekdError):  # The engine may be closed by now.
            engine.release(filled.memory)
        return _Running(reads, None, submitted, f"the engine failed: {one_line(failure)}")


def _not_frozen(read: Read, camera: FrozenCamera | None) -> Read:
    """The reading of a frame, with an error where the camera is frozen; frames come in their order."""
    if camera is None or read.digest is None:
        return read
    try:
        failure = camera.failure(read.digest)
    except Exception as error:
        log_failure(f"{read.name} could not be compared with the frame before it", error)
        failure = f"{read.name}: {type(error).__name__}: {one_line(error)}"
    return read if read.error or failure is None else read._replace(error=failure)


def _finish(engine: Engine, running: _Running, limits: Limits, maps_above: float) -> Iterator[Answer]:
    outputs: Outputs | None = None
    error = running.error
    if running.ticket is not None:
        try:
            outputs = engine.collect(running.ticket)
        except Exception as failure:
            error = f"the engine failed: {one_line(failure)}"
    inferred = time.perf_counter()
    for index, read in enumerate(running.reads):
        if read.error is not None or outputs is None:
            result = error_result(read.error or error or "the engine returned nothing")
        else:
            times = _Times(read.started, read.milliseconds, running.submitted, inferred)
            assert read.placement is not None
            result = _result(engine, outputs, index, read.placement, limits, maps_above, times, read.name)
        yield Answer(read.name, read.image, result, read.dropped, read.seen)


def _result(
    engine: Engine,
    outputs: Outputs,
    index: int,
    placement: Placement,
    limits: Limits,
    maps_above: float,
    times: _Times,
    name: str = "the image",
) -> AnomalyResult:
    """The answer for one frame of a batch, from its tiles; ERROR whatever goes wrong with it."""
    try:
        result = judged(engine, outputs, index, placement, limits, maps_above)
    except Exception as failure:
        log_failure(f"the answer for {name} could not be judged", failure)
        result = error_result(f"the answer could not be judged: {type(failure).__name__}: {one_line(failure)}")
    ended = time.perf_counter()
    timings = {
        "pre": times.reading,
        "inference": (times.inferred - times.submitted) * 1e3,
        "post": (ended - times.inferred) * 1e3,
        "end_to_end": (ended - times.started) * 1e3,
    }
    return replace(result, timings={**timings, **outputs.timings})


def judged(
    engine: Engine, outputs: Outputs, index: int, placement: Placement, limits: Limits, maps_above: float
) -> AnomalyResult:
    """The result for one image of a batch, from its tiles; ERROR where its score or its map is not finite.

    Args:
        engine: That computed them.
        outputs: Of the batch.
        index: Of the image in the batch.
        placement: How it lies; see `edgekd.data.preparing.prepare`.
        limits: What the score and the map are judged by.
        maps_above: The result holds the anomaly map where the score is above it.
    """
    preprocessing = engine.preprocessing
    first = index * preprocessing.tiles
    tiles = slice(first, first + preprocessing.tiles)
    score = frame_score(outputs.scores[tiles], preprocessing)
    if not math.isfinite(score):
        return replace(error_result(f"the engine's score is not finite: {score}"), score=score)
    for tile in looking_tiles(preprocessing):
        if (fault := outputs.faults.get(first + tile)) is not None:
            return error_result(fault)
    kept = len(outputs.anomaly_maps) and (maps_above == EVERY_MAP or score > maps_above)
    anomaly_map = assemble(outputs.anomaly_maps[tiles], placement, preprocessing) if kept else None
    shape = placement.height, placement.width
    regions = NO_REGIONS if anomaly_map is None else find_regions(anomaly_map, limits.pixel_limit, *shape)
    return AnomalyResult(
        score,
        limits.severity(score),
        verdict_of(score, limits.threshold),
        regions.listed,
        anomaly_map,
        more_regions=regions.more,
    )
