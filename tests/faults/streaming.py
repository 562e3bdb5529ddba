"""The stream of the soak: frames of random kinds through an Inspector that is closed under way now and then."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekd import Inspector
from edgekd.errors import EdgekdError
from edgekd.runner import Answer
from edgekd.runner.sources import Frame, Source
from tests.faults.failures import Failures
from tests.faults.frames import random_frame

CLOSED_ONCE_IN = 1000  # Answers.


class EndlessStream:
    """Frames without an end, each of which must be answered once, in order, with its verdict.

    Args:
        detector: The artifact.
        folder: For the files of frames; they are removed when they were read.
        random: Draws the frames.
        failures: What is not as it must be is added here.
    """

    def __init__(self, detector: Path, folder: Path, random: np.random.Generator, failures: Failures) -> None:
        folder.mkdir()
        self._detector, self._folder, self._random, self._failures = detector, folder, random, failures
        self._waiting: deque[tuple[str, str]] = deque()  # Names and verdicts of frames that were taken, unanswered.
        self._number = 0
        self._inspector: Inspector | None = None
        self.frames = self.closed = 0
        self.verdicts: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()

    def run(self, seconds: float) -> None:
        """Streams for a while; what was taken from the source is answered."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self._inspector is None:
                self._inspector = Inspector(self._detector, backend="onnxruntime", threads=1, readers=2)
            close_after = self._random.integers(1, 2 * CLOSED_ONCE_IN)
            answers = self._inspector.stream(Source(self._source(end), live=False), maps="all", keep_images=True)
            try:
                for count, answer in enumerate(answers):
                    self._check(answer)
                    if count == close_after:
                        self._inspector.close()
                        self.closed += 1
            except EdgekdError:  # The engine is closed: what was taken and not answered was not passed as OK either.
                if not self._inspector_is_closed():
                    raise
                self._waiting.clear()
            if self._inspector_is_closed():
                self._inspector = None
        if self._waiting:
            self._failures.add(
                "stream",
                f"{len(self._waiting)} frames were taken and never answered, the first is {self._waiting[0][0]}",
            )
            self._waiting.clear()

    def close(self) -> None:
        """Closes the engine."""
        if self._inspector is not None:
            self._inspector.close()

    def _inspector_is_closed(self) -> bool:
        try:
            assert self._inspector is not None
            self._inspector(np.full((64, 64, 3), 50, np.uint8))
        except EdgekdError:
            return True
        return False

    def _source(self, end: float) -> Iterator[Frame]:
        while time.monotonic() < end:
            frame, verdict = random_frame(f"{self._number:08}", self._folder, self._random)
            self._number += 1
            self._waiting.append((frame.name, verdict))
            yield frame

    def _check(self, answer: Answer) -> None:
        self.frames += 1
        result = answer.result
        self.verdicts[result.verdict.value] += 1
        if not self._waiting:
            return self._failures.add("stream", f"{answer.name} was answered and never taken")
        name, verdict = self._waiting.popleft()
        kind = name.split(".")[0].partition("_")[2]
        self.kinds[kind] += 1
        if answer.name != name:
            return self._failures.add("stream", f"{answer.name} was answered where {name} was due")
        closed = result.verdict.value == "ERROR" and self.closed
        if result.verdict.value != verdict and not (closed and "closed" in (result.error or "")):
            self._failures.add(
                f"stream, {kind}", f"{name} is {result.verdict.value} ({result.error or result.score}), not {verdict}"
            )
        if result.verdict.value == "ERROR" and not result.error:
            self._failures.add("stream", f"{name} is ERROR without a reason")
        if result.verdict.value != "ERROR" and not math.isfinite(result.score):
            self._failures.add("stream", f"{name} is {result.verdict.value} with a score of {result.score}")
        return None
