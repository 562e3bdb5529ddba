"""The teacher's outputs for the training images: computed once where they fit into memory."""

from __future__ import annotations

import os
from collections.abc import Callable

from torch import Tensor

from edgekd.models.detector import Detector, Targets

SHARE_OF_FREE_MEMORY = 0.5


class TargetCache:
    """The teacher's outputs by image.

    The teacher always sees one image alone, so that its output does not depend on what was kept.

    Args:
        detector: Whose teacher it is.
        images: The image [1, 3, H, W] of an image's number.
        count: Of the images.
    """

    def __init__(self, detector: Detector, images: Callable[[int], Tensor], count: int) -> None:
        self._detector, self._images, self._count = detector, images, count
        self._kept: dict[int, Targets] = {}
        self._keeps: bool | None = None

    def get(self, index: int) -> Targets:
        """The targets of an image, [1, C, H, W] each, on the detector's device."""
        if index in self._kept:
            return self._kept[index]
        targets = self._detector.targets(self._images(index))
        if self._keeps is None:
            needed = sum(entry.nbytes for entry in targets) * self._count
            self._keeps = needed < free_memory(targets[0]) * SHARE_OF_FREE_MEMORY
        if self._keeps:
            self._kept[index] = targets
        return targets


def free_memory(tensor: Tensor) -> int:
    """Bytes that are free where a tensor lives; 0 where the operating system does not report them."""
    if tensor.is_cuda:
        import torch

        return int(torch.cuda.mem_get_info(tensor.device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 0
