"""The pipeline: frames are read and resized by worker threads while the engine computes; answers come in order."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from edgekd.data.pictures import Picture, resize_picture
from edgekd.engines.base import Engine, Frames, Outputs
from edgekd.errors import EdgekdError
from edgekd.result import AnomalyResult, error_result, verdict_of
from edgekd.runner.sources import Frame

READERS = 2
STAGES = ("pre", "inference", "post", "end_to_end")


class Answer(NamedTuple):
    """A frame's name, the picture where it was kept, and what the detector says."""

    name: str
    picture: Picture | None
    result: AnomalyResult


class _Prepared(NamedTuple):
    """A frame that was read and brought to the engine's size, or why it could not be."""

    name: str
    picture: Picture | None
    frame: Picture | None
    error: str | None
    started: float
    milliseconds: float


class _Running(NamedTuple):
    """A batch that the engine works on."""

    prepared: list[_Prepared]
    ticket: Any
    submitted: float
    error: str | None


def inspect_picture(engine: Engine, picture: Picture, threshold: float, keep_map: bool = True) -> AnomalyResult:
    """Inspects one decoded picture and waits for the answer.

    Args:
        engine: Takes single frames.
        picture: uint8 [H, W, 3], BGR, of any size.
        threshold: Scores above it are NG.
        keep_map: Whether the answer holds the anomaly map.
    """
    started = time.perf_counter()
    frame = resize_picture(picture, engine.spec.height, engine.spec.width)[None]
    prepared = time.perf_counter()
    outputs = engine.infer(np.ascontiguousarray(frame))
    inferred = time.perf_counter()
    score = float(outputs.scores[0])
    verdict = verdict_of(score, threshold)
    ended = time.perf_counter()
    timings = {
        "pre": (prepared - started) * 1e3,
        "inference": (inferred - prepared) * 1e3,
        "post": (ended - inferred) * 1e3,
        "end_to_end": (ended - started) * 1e3,
    }
    return AnomalyResult(score, verdict, outputs.anomaly_maps[0] if keep_map else None, timings, _no_number(score))


def inspect_stream(
    engine: Engine,
    frames: Iterable[Frame],
    threshold: float,
    keep_maps: bool = False,
    keep_pictures: bool = False,
) -> Iterator[Answer]:
    """Inspects a stream of frames; reading, computing and answering overlap.

    A frame that cannot be read, or that the engine fails on, is answered with ERROR and the stream goes on.

    Args:
        engine: Of any batch size; a last batch that is not full is filled up with its first frame.
        frames: Where they come from.
        threshold: Scores above it are NG.
        keep_maps, keep_pictures: Whether answers hold the anomaly map, and the picture as it was read.

    Yields:
        One answer a frame, in the order of the frames.
    """
    batch = engine.spec.batch or 1
    ahead = engine.slots * batch + READERS
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as readers:
        prepared = _in_order(readers, frames, lambda frame: _prepare(frame, engine, keep_pictures), ahead)
        running: deque[_Running] = deque()
        try:
            for group in _groups(prepared, batch):
                if len(running) == engine.slots:
                    yield from _finish(engine, running.popleft(), threshold, keep_maps)
                running.append(_start(engine, group, batch))
            while running:
                yield from _finish(engine, running.popleft(), threshold, keep_maps)
        finally:
            for left in running:  # The caller stopped early: the engine must let go of our frames.
                if left.ticket is not None:
                    engine.collect(left.ticket)


def _in_order(
    pool: ThreadPoolExecutor, frames: Iterable[Frame], task: Callable[[Frame], _Prepared], ahead: int
) -> Iterator[_Prepared]:
    """Maps frames through the pool, never more than `ahead` of them at once."""
    waiting: deque[Future[_Prepared]] = deque()
    try:
        for frame in frames:
            waiting.append(pool.submit(task, frame))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()


def _prepare(frame: Frame, engine: Engine, keep_picture: bool) -> _Prepared:
    started = time.perf_counter()
    picture = resized = error = None
    try:
        picture = frame.load()
        resized = resize_picture(picture, engine.spec.height, engine.spec.width)
    except EdgekdError as failure:
        error = str(failure)
    except Exception as failure:  # Whatever goes wrong with one frame is that frame's ERROR, not the line's stop.
        error = f"{frame.name}: {type(failure).__name__}: {failure}"
    milliseconds = (time.perf_counter() - started) * 1e3
    return _Prepared(frame.name, picture if keep_picture else None, resized, error, started, milliseconds)


def _groups(items: Iterator[_Prepared], size: int) -> Iterator[list[_Prepared]]:
    group: list[_Prepared] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group


def _start(engine: Engine, group: list[_Prepared], batch: int) -> _Running:
    submitted = time.perf_counter()
    readable = [item.frame for item in group if item.frame is not None]
    if not readable:
        return _Running(group, None, submitted, None)
    try:
        stack = [readable[0] if item.frame is None else item.frame for item in group]
        stack += [readable[0]] * (batch - len(stack))
        frames: Frames = np.ascontiguousarray(np.stack(stack))
        return _Running(group, engine.submit(frames), submitted, None)
    except Exception as failure:
        return _Running(group, None, submitted, f"the engine failed: {failure}")


def _finish(engine: Engine, running: _Running, threshold: float, keep_maps: bool) -> Iterator[Answer]:
    outputs: Outputs | None = None
    error = running.error
    if running.ticket is not None:
        try:
            outputs = engine.collect(running.ticket)
        except Exception as failure:
            error = f"the engine failed: {failure}"
    inferred = time.perf_counter()
    for index, item in enumerate(running.prepared):
        if item.error is not None or outputs is None:
            yield Answer(item.name, item.picture, error_result(item.error or error or "the engine gave no answer"))
            continue
        score = float(outputs.scores[index])
        verdict = verdict_of(score, threshold)
        ended = time.perf_counter()
        timings = {
            "pre": item.milliseconds,
            "inference": (inferred - running.submitted) * 1e3,
            "post": (ended - inferred) * 1e3,
            "end_to_end": (ended - item.started) * 1e3,
        }
        anomaly_map = outputs.anomaly_maps[index] if keep_maps else None
        result = AnomalyResult(score, verdict, anomaly_map, timings, _no_number(score))
        yield Answer(item.name, item.picture, result)


def _no_number(score: float) -> str | None:
    """What is wrong with a score, if anything is."""
    return None if math.isfinite(score) else f"the engine's score is {score}, no finite number"
