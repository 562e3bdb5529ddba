"""A measure of a teacher that needs no student: how far its features of an image lie from those of good ones.

Source: Roth et al., PatchCore (CVPR 2022), with a random memory of patches in place of a core set.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.models.normalisation import normalise
from edgekd.models.teachers import build_teacher, pretrained_network
from edgekd.training.device import channels_last
from edgekd.training.teachers.loading import Teacher, put_pretrained

MEMORY_PATCHES = 6000


def teacher_network(teacher: Teacher) -> nn.Module:
    """A teacher as a network in eval mode, from normalised images [N, 3, H, W] to features [N, 384, grid, grid]."""
    network = build_teacher(teacher.network)
    put_pretrained(pretrained_network(network), teacher)
    return channels_last(network.eval(), torch.device("cpu"))


@torch.inference_mode()
def nearest_neighbour_scores(
    network: nn.Module, good: NDArray[np.uint8], test: NDArray[np.uint8], seed: int = 0
) -> Iterator[float]:
    """The largest distance of an image's patches to their nearest among patches of good images.

    Features are standardised over the good images, channel by channel.

    Args:
        network: From normalised images [N, 3, H, W] to features [N, 384, grid, grid].
        good: Frames uint8 [N, H, W, 3] BGR whose patches are remembered: 6,000 in all, drawn at random.
        test: Frames to score.
        seed: Of the draw.

    Yields:
        A score for each test frame, in order.
    """
    memory = _memory(network, good, seed)
    mean, std = memory.mean(0), memory.std(0).clamp_min(1e-6)
    memory = (memory - mean) / std
    for patches in _patches(network, test):
        yield float(torch.cdist((patches - mean) / std, memory).amin(1).max())


def _memory(network: nn.Module, good: NDArray[np.uint8], seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    share = -(-MEMORY_PATCHES // len(good))
    kept = [patches[torch.randperm(len(patches), generator=generator)[:share]] for patches in _patches(network, good)]
    memory = torch.cat(kept)
    return memory[torch.randperm(len(memory), generator=generator)[:MEMORY_PATCHES]]


def _patches(network: nn.Module, frames: Iterable[NDArray[np.uint8]]) -> Iterator[Tensor]:
    """The features of each frame, [patches, 384]."""
    for frame in frames:
        image = normalise(torch.from_numpy(frame[None, ..., ::-1].copy()).permute(0, 3, 1, 2))
        features: Tensor = network(image.contiguous(memory_format=torch.channels_last))
        yield features[0].flatten(1).T.contiguous()
