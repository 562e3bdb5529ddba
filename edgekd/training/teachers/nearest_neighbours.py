"""A measure of a teacher that needs no student: how far its features of an image lie from those of good ones.

An image's score is the largest distance of its patches to their nearest among remembered ones. A larger memory can only
bring them nearer, so a patch whose distance to a part of the memory is below the score already need not be compared
with the rest: a few hundred of an image's thousands are, and the score is exactly that of all.

Source: Roth et al., PatchCore (CVPR 2022), with a random memory of patches in place of a core set.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.models.normalisation import normalise
from edgekd.models.teachers import build_teacher, pretrained_network
from edgekd.progress import Progress, silent
from edgekd.training.device import channels_last
from edgekd.training.memory import available_host_memory
from edgekd.training.teachers.loading import Teacher, put_pretrained

MOST_PATCHES = 400_000  # 0.6 GB; comparing with more takes longer than training a student.
MEMORY_SHARE = 4  # A quarter of the available memory may hold the patches of good images.
FIRST_LOOK = 1500  # Patches that every patch of an image is compared with.
LEADERS, QUERIES = 16, 256  # Patches of an image, the farthest first, that are compared at once: to begin with, then.
MEMORY_BLOCK = 4096  # Remembered patches in one matrix product, which stays in the processor's cache.
LEAST_DEVIATION = 1e-6


class PatchMemory(NamedTuple):
    """Patches of good images, ordered such that any number of the first ones are as many of each image.

    Attributes:
        patches: float32 [patches, features], standardised channel by channel over all of them.
        squares: float32 [patches], each one's squared length.
        images: Good images that they are of; patch i is of image i % images.
        of_an_image: Patches that an image has, remembered or not.
        mean: float32 [features], of the features before they were standardised.
        std: float32 [features].
    """

    patches: Tensor
    squares: Tensor
    images: int
    of_an_image: int
    mean: Tensor
    std: Tensor

    @property
    def complete(self) -> bool:
        """Whether no patch of the images was left out."""
        return len(self.patches) == self.images * self.of_an_image

    def standardise(self, features: Tensor) -> Tensor:
        """Features [patches, features] of another image, as those of the memory are."""
        return (features - self.mean) / self.std


def teacher_network(teacher: Teacher) -> nn.Module:
    """A teacher as a network in eval mode, from normalised images [N, 3, H, W] to features [N, 384, grid, grid]."""
    network = build_teacher(teacher.network)
    put_pretrained(pretrained_network(network), teacher)
    return channels_last(network.eval(), torch.device("cpu"))


@torch.inference_mode()
def remember(
    network: nn.Module, good: NDArray[np.uint8], seed: int, most: int = MOST_PATCHES, progress: Progress = silent
) -> PatchMemory:
    """Draws patches of good images at random.

    Args:
        network: From normalised images [N, 3, H, W] to features [N, features, rows, columns].
        good: Frames uint8 [N, H, W, 3] BGR.
        seed: Of the draw.
        most: Patches, in all; less where the machine's memory is small, and at least one of each image.
        progress: Called after each image.
    """
    generator = torch.Generator().manual_seed(seed)
    first = patch_features(network, good[0])
    count, width = first.shape
    available = available_host_memory()
    if available:  # 0 where it is not known.
        most = min(most, available // (MEMORY_SHARE * width * first.element_size()))
    share = max(1, min(count, most // len(good)))
    drawn = first.new_empty(share, len(good), width)
    for index, frame in enumerate(good):
        patches = patch_features(network, frame) if index else first
        drawn[:, index] = patches[torch.randperm(count, generator=generator)[:share]]
        progress("remembering good images", index + 1, len(good))
    memory = drawn.flatten(0, 1)
    std, mean = torch.std_mean(memory, 0)
    std = std.clamp_min(LEAST_DEVIATION)
    memory.sub_(mean).div_(std)
    return PatchMemory(memory, _squares(memory), len(good), count, mean, std)


def patch_features(network: nn.Module, frame: NDArray[np.uint8]) -> Tensor:
    """The features of a frame uint8 [H, W, 3] BGR, float32 [patches, features]."""
    image = normalise(torch.from_numpy(frame[None, ..., ::-1].copy()).permute(0, 3, 1, 2))
    features: Tensor = network(image.contiguous(memory_format=torch.channels_last))
    return features[0].flatten(1).T.contiguous()


class Search:
    """An image's patches on their way to their nearest neighbours.

    Args:
        count: Patches of the image.

    Attributes:
        nearest: float32 [patches], squared distance to the nearest patch so far.
        compared: int64 [patches], number of remembered patches that each was compared with, from the first on.
    """

    def __init__(self, count: int) -> None:
        self.nearest = torch.full((count,), torch.inf)
        self.compared = torch.zeros(count, dtype=torch.int64)

    def score(self, patches: Tensor, memory: PatchMemory, count: int) -> float:
        """The largest distance of a patch to its nearest of the memory's first ones.

        Args:
            patches: float32 [patches, features] of the image, standardised; the same in every call.
            memory: The same one in every call.
            count: Patches of it to compare with; never fewer than before.
        """
        if not self.compared.any():
            self._compare(torch.arange(len(patches)), patches, memory, min(FIRST_LOOK, count), floor=-1)
        while True:
            done = self.compared >= count
            score = float(self.nearest.masked_fill(~done, -1).max())
            size = min(LEADERS if score < 0 else QUERIES, len(patches))
            candidates = self.nearest.masked_fill(done, -1).topk(size)
            block = candidates.indices[candidates.values > score]
            if not len(block):
                return math.sqrt(score)
            self._compare(block, patches, memory, count, score)

    def _compare(self, block: Tensor, patches: Tensor, memory: PatchMemory, count: int, floor: float) -> None:
        """Goes on with a block of patches, each until it has seen all of the memory or is no farther than a floor."""
        for start in range(int(self.compared[block].min()), count, MEMORY_BLOCK):
            stop = min(start + MEMORY_BLOCK, count)
            rows = block[(self.nearest[block] > floor) & (self.compared[block] < stop)]
            if len(rows):
                found = squared_distances(patches[rows], memory.patches[start:stop], memory.squares[start:stop])
                self.nearest[rows] = torch.minimum(self.nearest[rows], found.amin(1))
                self.compared[rows] = stop


def squared_distances(queries: Tensor, memory: Tensor, squares: Tensor) -> Tensor:
    """Squared Euclidean distances by one matrix product.

    Args:
        queries: float32 [Q, features].
        memory: float32 [M, features].
        squares: float32 [M], the squared lengths of the memory.

    Returns:
        float32 [Q, M], not negative.
    """
    product = torch.addmm(squares, queries, memory.T, alpha=-2)
    return product.add_(_squares(queries)[:, None]).clamp_min_(0)


def _squares(patches: Tensor) -> Tensor:
    return (patches * patches).sum(1)
