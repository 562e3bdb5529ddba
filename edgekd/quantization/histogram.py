"""The magnitudes that a tensor takes on real images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from numpy.typing import NDArray

from edgekd.engines import Frames
from edgekd.quantization.running import tensors_of

BINS = 2048


class Histogram:
    """How often magnitudes occur, in bins of equal width from 0 to `limit`, which doubles when a greater one comes.

    Attributes:
        counts: int64 [2048]; of zeros, which every scale holds exactly, none.
        limit: The upper end of the last bin.
        largest: The largest magnitude.
    """

    def __init__(self) -> None:
        self.counts = np.zeros(BINS, np.int64)
        self.limit = 0.0
        self.largest = 0.0

    def add(self, values: NDArray[np.float32]) -> None:
        """Counts the values of one more tensor."""
        magnitudes = np.abs(values.ravel())
        magnitudes = magnitudes[magnitudes > 0]
        if not magnitudes.size:
            return
        largest = float(magnitudes.max())
        self.largest = max(self.largest, largest)
        self.limit = self.limit or largest
        while self.limit < largest:
            self.counts = np.concatenate([self.counts.reshape(-1, 2).sum(1), np.zeros(BINS // 2, np.int64)])
            self.limit *= 2
        places = np.minimum((magnitudes * np.float32(BINS / self.limit)).astype(np.int64), BINS - 1)
        self.counts += np.bincount(places, minlength=BINS)


def observe(model: onnx.ModelProto, tensors: Sequence[str], frames: Frames) -> dict[str, Histogram]:
    """The magnitudes of tensors over frames.

    Args:
        model: Float.
        tensors: Inside it, to look at.
        frames: uint8 [N, H, W, 3], BGR: the calibration set.
    """
    histograms = {name: Histogram() for name in tensors}
    for values in tensors_of(model, list(histograms), frames):
        for name, value in zip(histograms, values, strict=True):
            histograms[name].add(value)
    return histograms
