"""Readers: threads that decode images and resize them, ahead of the thread that submits them to the engine."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import numpy as np

from edgekd.data.images import Image, as_bgr8
from edgekd.data.preparing import Placement, prepare_into
from edgekd.data.view_geometry import cropped
from edgekd.engines.base import Engine, EngineSpec, Frames
from edgekd.engines.cores import usable_cores
from edgekd.errors import EdgekdError
from edgekd.preprocessing import Preprocessing
from edgekd.runner.frame_queue import FrameQueue
from edgekd.runner.sources import Frame
from edgekd.verdicts.frozen import digest
from edgekd.verdicts.image_checks import NO_CHECKS, ImageChecks, Statistics, statistics

FEWEST_READERS, MOST_READERS = 2, 8
CORES_A_READER_ON_CPU = 4  # Where the engine computes on the same cores.


class Read(NamedTuple):
    """A frame that was read, or why it could not be.

    Attributes:
        name: The frame's.
        dropped: Frames of a live source that were dropped just before it.
        image: The decoded image; None where it was not kept.
        shape: Height and width of the decoded image, in pixels; zeros where it could not be read.
        placement: How the frame lies; None where it could not be read.
        resized: Its tiles, uint8 [tiles, h, w, 3]: in the slot that it was read for, or in memory of its own.
        error: Why it could not be read, or failed a check of the image; None where it can be scored.
        seen: What the checks of the image measured; None where there are none.
        digest: What tells it from the frame before it; None where frames may repeat.
        started: When reading began, in seconds of `time.perf_counter`.
        milliseconds: How long decoding and resizing took.
    """

    name: str
    dropped: int
    image: Image | None
    shape: tuple[int, ...]
    placement: Placement | None
    resized: Frames
    error: str | None
    seen: Statistics | None
    digest: bytes | None
    started: float
    milliseconds: float


def default_readers(spec: EngineSpec) -> int:
    """How many threads read for an engine by default.

    Args:
        spec: The engine's. A CPU engine computes on the cores that the readers need; a GPU engine leaves them all but
            the one that submits.
    """
    cores = usable_cores()
    wanted = cores - 1 if spec.threads is None else cores // CORES_A_READER_ON_CPU
    return min(max(wanted, FEWEST_READERS), MOST_READERS)


class Readers:
    """Reads the frames of a source in threads. Use it as a context manager.

    Frames of a source that can wait are read ahead into memory of their own, so that all readers are busy however many
    slots the engine has. Those of a live source are read into a slot once one is free: the newest frame is the one that
    matters, and what waits for a slot is dropped unread.

    Args:
        frames: The source.
        engine: Its slots are used, and images are prepared as it needs them.
        batch: Frames per batch.
        count: Number of threads.
        live: Whether the source cannot wait.
        keep_images: Whether to keep the decoded images.
        checks: That an image must pass.
        digests: Whether frames that repeat are looked for.
    """

    def __init__(
        self,
        frames: Iterator[Frame],
        engine: Engine,
        batch: int,
        count: int,
        live: bool,
        keep_images: bool,
        checks: ImageChecks = NO_CHECKS,
        digests: bool = False,
    ) -> None:
        self._checks, self._digests = checks, digests
        self._preprocessing, self._keep = engine.preprocessing, keep_images
        self._pool = ThreadPoolExecutor(count, "reader")
        self._waiting = FrameQueue(frames, batch, live=True) if live else None
        ahead = max(count, batch * engine.spec.streams)
        self._begun = FrameQueue(self._begin(frames), ahead, live=False) if not live else None

    def __enter__(self) -> Readers:
        self._queue.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._queue.__exit__(kind, error, traceback)
        self._pool.shutdown(cancel_futures=True)

    @property
    def _queue(self) -> FrameQueue[Frame] | FrameQueue[Future[Read]]:
        queue = self._waiting or self._begun
        assert queue is not None
        return queue

    @property
    def ended(self) -> bool:
        """Whether all frames were handed out."""
        return self._queue.ended

    def raise_failure(self) -> None:
        """Raises the source's exception, if it ended with one."""
        self._queue.raise_failure()

    def next_batch(self, memory: Frames, wait: bool) -> list[Future[Read]]:
        """The reading of the next frames.

        Args:
            memory: A free slot's, uint8 [N * tiles, h, w, 3]. Frames that were read ahead must still be copied there.
            wait: Whether to wait for the first frame.

        Returns:
            N at most: fewer at the end of the source, none where no frame is ready and nobody waits.
        """
        reads: list[Future[Read]] = []
        for frame in by_image(memory, self._preprocessing):
            read = self._next(frame, wait or bool(reads))
            if read is None:
                break
            reads.append(read)
        return reads

    def _next(self, memory: Frames, wait: bool) -> Future[Read] | None:
        if self._waiting is not None:
            taken = self._waiting.get(wait)
            return self._pool.submit(self._read, taken.frame, taken.dropped, memory) if taken else None
        assert self._begun is not None
        begun = self._begun.get(wait)
        return begun.frame if begun else None

    def _begin(self, frames: Iterator[Frame]) -> Iterator[Future[Read]]:
        """Starts to read each frame as the queue takes it, which holds as many as are wanted ahead."""
        try:
            for frame in frames:
                yield self._pool.submit(self._read, frame, 0, None)
        finally:
            close = getattr(frames, "close", None)
            if close is not None:
                close()

    def _read(self, frame: Frame, dropped: int, memory: Frames | None) -> Read:
        started = time.perf_counter()
        preprocessing = self._preprocessing
        needed = (preprocessing.tiles, preprocessing.height, preprocessing.width, 3)
        resized = np.empty(needed, np.uint8) if memory is None else memory
        image = error = placement = seen = frame_digest = None
        try:
            image = as_bgr8(frame.load(), frame.name, self._preprocessing.bit_depth)
            if self._digests:
                frame_digest = digest(image)
            if self._checks:
                seen = statistics(cropped(image, preprocessing.view))
                error = self._checks.failure(seen)
            placement = prepare_into(image, resized, preprocessing)
        except EdgekdError as failure:
            error = error or str(failure)
        except Exception as failure:  # Whatever goes wrong with one frame is that frame's ERROR, not the line's stop.
            error = f"{frame.name}: {type(failure).__name__}: {failure}"
        milliseconds = (time.perf_counter() - started) * 1e3
        kept = image if self._keep else None
        shape = (0, 0) if image is None else image.shape[:2]
        measured = (error, seen, frame_digest, started, milliseconds)
        return Read(frame.name, dropped, kept, shape, placement, resized, *measured)


def by_image(frames: Frames, preprocessing: Preprocessing) -> Frames:
    """Frames of a network, uint8 [N * tiles, h, w, 3], as [N, tiles, h, w, 3]: a view of the same memory."""
    return frames.reshape(-1, preprocessing.tiles, *frames.shape[1:])
