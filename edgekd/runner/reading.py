"""Readers: threads that decode images and resize them, ahead of the thread that submits them to the engine."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple

import numpy as np

from edgekd.data.pictures import Picture
from edgekd.data.resizing import resize_into
from edgekd.engines.base import EngineSpec, Frames
from edgekd.engines.opening import usable_cores
from edgekd.errors import EdgekdError
from edgekd.runner.intake import Intake, Taken
from edgekd.runner.sources import Frame

FEWEST_READERS, MOST_READERS = 2, 8
CORES_A_READER_ON_CPU = 4  # Where the engine computes on the same cores.


class Read(NamedTuple):
    """A frame that was read, or why it could not be.

    Attributes:
        taken: The frame.
        picture: As it was decoded; None where it was not kept.
        frame: Resized, uint8 [h, w, 3]; in the slot that it was meant for, or in memory of its own.
        error: Why there is none.
        started: When, on the clock of `time.perf_counter`, in seconds.
        milliseconds: That decoding and resizing took.
    """

    taken: Taken
    picture: Picture | None
    frame: Picture
    error: str | None
    started: float
    milliseconds: float


def default_readers(spec: EngineSpec) -> int:
    """How many threads read for an engine where nobody says so.

    Args:
        spec: Of the engine. A CPU engine computes on the cores that the readers want; a GPU engine leaves them all but
            the one that submits.
    """
    cores = usable_cores()
    wanted = cores - 1 if spec.threads is None else cores // CORES_A_READER_ON_CPU
    return min(max(wanted, FEWEST_READERS), MOST_READERS)


class Readers:
    """Reads the frames of a source in threads. Use it as a context manager.

    Frames are read into the slot of the engine that is free; where none is, each reader reads one frame ahead, into
    memory of its own. Of a live source nothing is read ahead: the newest frame is the one that matters, and those that
    wait are dropped unread.

    Args:
        frames: The source.
        spec: Of the engine: the size of its frames and the rule to resize by.
        count: Threads.
        held: Frames that the source is asked for in advance, at most.
        live: Whether the source cannot wait.
        keep_pictures: Whether to hold on to the decoded images.
    """

    def __init__(
        self, frames: Iterator[Frame], spec: EngineSpec, count: int, held: int, live: bool, keep_pictures: bool
    ) -> None:
        self._pool = ThreadPoolExecutor(count, "reader")
        self._intake = Intake(frames, held, live)
        self._ahead: deque[Future[Read]] = deque()
        self._most_ahead = 0 if live else count
        self._shape, self._rule, self._keep = (spec.height, spec.width, 3), spec.resize, keep_pictures

    def __enter__(self) -> Readers:
        self._intake.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for read in self._ahead:
            read.cancel()
        self._intake.__exit__(kind, error, traceback)
        self._pool.shutdown()

    @property
    def ended(self) -> bool:
        """Whether all frames were given out."""
        return not self._ahead and self._intake.ended

    def raise_failure(self) -> None:
        """Raises what the source raised, if it ended so."""
        self._intake.raise_failure()

    def read_into(self, memory: Frames, wait: bool) -> list[Future[Read]]:
        """Starts reading the next batch, or hands out what was read ahead of it.

        Args:
            memory: Of a slot, uint8 [N, h, w, 3]; what was read ahead has to be copied there.
            wait: For a first frame, where none is there.

        Returns:
            N at most: fewer at the end of the source, none where none is there and nobody waits.
        """
        reads: list[Future[Read]] = []
        for frame in memory:
            if self._ahead:
                reads.append(self._ahead.popleft())
            elif taken := self._intake.get(wait or bool(reads)):
                reads.append(self._pool.submit(self._read, taken, frame))
            else:
                break
        return reads

    def read_ahead(self) -> None:
        """Starts reading what no slot is free for yet."""
        while len(self._ahead) < self._most_ahead and (taken := self._intake.get(wait=False)):
            self._ahead.append(self._pool.submit(self._read, taken, None))

    def _read(self, taken: Taken, memory: Picture | None) -> Read:
        started = time.perf_counter()
        frame = np.empty(self._shape, np.uint8) if memory is None else memory
        picture = error = None
        try:
            picture = taken.frame.load()
            resize_into(picture, frame, self._rule)
        except EdgekdError as failure:
            error = str(failure)
        except Exception as failure:  # Whatever goes wrong with one frame is that frame's ERROR, not the line's stop.
            error = f"{taken.frame.name}: {type(failure).__name__}: {failure}"
        milliseconds = (time.perf_counter() - started) * 1e3
        return Read(taken, picture if self._keep else None, frame, error, started, milliseconds)
