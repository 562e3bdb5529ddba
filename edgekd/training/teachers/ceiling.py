"""A teacher's ceiling: how well nearest neighbours among its features tell defective images from good ones.

A student learns what its teacher's features of good images are; nearest neighbours remember them. So their image AUROC
is about what a student of that teacher can reach.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.metrics.auroc import image_auroc
from edgekd.progress import Progress, silent
from edgekd.training.memory import available_host_memory
from edgekd.training.teachers.nearest_neighbours import (
    MEMORY_SHARE,
    MOST_PATCHES,
    PatchMemory,
    Search,
    patch_features,
    remember,
)

FIRST_PATCHES = 6000
STILL = 0.002  # Change of the image AUROC over a doubling of the memory.


@dataclass(frozen=True)
class Ceiling:
    """What nearest neighbours reach.

    Attributes:
        image_auroc: 0 to 1.
        patches: Of good images, in the memory that it was reached with.
        stands_still: Whether the last doubling of the memory changed the AUROC by less than 0.002, or no patch was
            left out; otherwise a larger memory may give another figure.
        seconds: That all of it took.
        growth: Patches and image AUROC of each memory, ascending.
        scores: One for each test image, in order, with the largest memory.
    """

    image_auroc: float
    patches: int
    stands_still: bool
    seconds: float
    growth: tuple[tuple[int, float], ...]
    scores: tuple[float, ...]


@torch.inference_mode()
def teacher_ceiling(
    network: nn.Module,
    good: NDArray[np.uint8],
    test: NDArray[np.uint8],
    defective: Sequence[bool],
    seed: int = 0,
    most: int = MOST_PATCHES,
    progress: Progress = silent,
    tiles: int = 1,
) -> Ceiling:
    """Measures a teacher by nearest neighbours, with a memory that doubles until the image AUROC stands still.

    Args:
        network: From normalised images [N, 3, H, W] to features [N, 384, grid, grid]; see `teacher_network`.
        good: Frames uint8 [N, H, W, 3] BGR whose patches are remembered.
        test: Frames of the same size to score.
        defective: Whether each image of them is.
        seed: Of the draw of patches.
        most: Patches to remember; fewer where the machine's memory is small.
        progress: Called while it works.
        tiles: Frames of an image, whose score is the highest of them.

    Raises:
        EdgekdError: Good or defective images are missing in the test.
        MachineError: scikit-learn is not installed.
    """
    start = time.perf_counter()
    memory = remember(network, good, seed, most, progress)
    kept = _keep(network, test, memory, progress)
    searches = [Search(memory.of_an_image) for _ in test]
    growth: list[tuple[int, float]] = []
    for patches in _sizes(memory):
        scores = []
        for index, search in enumerate(searches):
            features = kept[index] if index < len(kept) else memory.standardise(patch_features(network, test[index]))
            scores.append(search.score(features, memory, patches))
            progress(f"comparing with {patches} patches", index + 1, len(test))
        scores = np.reshape(scores, (-1, tiles)).max(axis=1).tolist()
        growth.append((patches, image_auroc(scores, defective)))
        stands_still = len(growth) > 1 and abs(growth[-1][1] - growth[-2][1]) < STILL
        if stands_still:
            break
    patches, auroc = growth[-1]
    stands_still = stands_still or (memory.complete and patches == len(memory.patches))
    return Ceiling(auroc, patches, stands_still, time.perf_counter() - start, tuple(growth), tuple(scores))


def _keep(network: nn.Module, test: NDArray[np.uint8], memory: PatchMemory, progress: Progress) -> list[Tensor]:
    """The standardised features of as many test images as there is room for, from the first on."""
    room = available_host_memory() // (MEMORY_SHARE * memory.of_an_image * memory.mean.nbytes)
    kept = []
    for frame in test[:room]:
        kept.append(memory.standardise(patch_features(network, frame)))
        progress("features of test images", len(kept), len(test))
    return kept


def _sizes(memory: PatchMemory) -> Iterator[int]:
    """How many patches to compare with: about 6,000, as many of each image, twice as many, and so on to all."""
    patches = memory.images * -(-FIRST_PATCHES // memory.images)
    while patches < len(memory.patches):
        yield patches
        patches *= 2
    yield len(memory.patches)
