"""What engines that compute in host memory share: the memory of their slots."""

from __future__ import annotations

import numpy as np

from edgekd.engines.base import Engine, Frames


class HostEngine(Engine):
    """An engine that reads frames where they lie. Its slots' memory is kept for the next batch of the same size.

    Args:
        slots: Batches that may be lent or under way at once; None for the class's own number.
    """

    def __init__(self, slots: int | None = None) -> None:
        self.slots = slots or self.slots
        self._lent: dict[int, Frames] = {}
        self._spare: list[Frames] = []

    def lend(self, count: int = 1) -> Frames | None:
        self.require_open()
        if len(self._lent) == self.slots:
            return None
        kept = next((index for index, frames in enumerate(self._spare) if len(frames) == count), None)
        if kept is None:
            frames = np.empty((count, self.spec.height, self.spec.width, 3), np.uint8)
        else:
            frames = self._spare.pop(kept)
        self._lent[id(frames)] = frames
        return frames

    def give_back(self, frames: Frames) -> None:
        """Frees the slot of lent frames; others belong to the caller."""
        self.require_open()
        if self._lent.pop(id(frames), None) is not None:
            self._spare = [*self._spare, frames][-self.slots :]

    def close(self) -> None:
        self.closed = True
        self._lent.clear()
        self._spare.clear()
