"""What engines that compute in host memory share: the memory of their slots."""

from __future__ import annotations

import numpy as np

from edgekd.engines.base import Engine, Frames
from edgekd.engines.inference_limit import InferenceLimit


class HostEngine(Engine):
    """An engine that reads frames where they lie. Its slots' memory is kept for the next batch of the same size.

    Args:
        slots: Batches that may be acquired or in flight at once; None for the class's own number.
    """

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots or self.slots
        self.limit = InferenceLimit()
        self._acquired: dict[int, Frames] = {}
        self._spare: list[Frames] = []

    @property
    def broken(self) -> str | None:
        return self.limit.broken

    def acquire(self, count: int = 1) -> Frames | None:
        self.require_open()
        if len(self._acquired) == self.slots:
            return None
        kept = next((index for index, frames in enumerate(self._spare) if len(frames) == count), None)
        if kept is None:
            frames = np.empty((count, self.spec.height, self.spec.width, 3), np.uint8)
        else:
            frames = self._spare.pop(kept)
        self._acquired[id(frames)] = frames
        return frames

    def release(self, frames: Frames) -> None:
        """Frees the slot of acquired frames; others belong to the caller."""
        self.require_open()
        if self._acquired.pop(id(frames), None) is not None:
            self._spare = [*self._spare, frames][-self.slots :]

    def close(self) -> None:
        self.closed = True
        self._acquired.clear()
        self._spare.clear()
