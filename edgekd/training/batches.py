"""What each training step sees, following from the step's number alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.data.synthetic_anomalies import corrupt
from edgekd.models.detector import Batch, Detector, Stage, Targets
from edgekd.models.normalisation import normalise
from edgekd.resize_rules import CURRENT_RESIZE_RULE
from edgekd.training.targets import TargetCache

Frames = NDArray[np.uint8]  # [N, H, W, 3], BGR


class Batches:
    """The batches of a run.

    Args:
        detector: Whose teacher gives the targets.
        frames: The training images, uint8 [N, H, W, 3], BGR.
        batch: Images a step.
        seed: Of the order and of the synthetic anomalies.
        textures: Images that the anomalies take their texture from; none for noise.
        device: Where batches are put.
        rule: To resize textures by: that of the run.
    """

    def __init__(
        self,
        detector: Detector,
        frames: Frames,
        batch: int,
        seed: int,
        textures: Sequence[Path],
        device: torch.device,
        rule: str = CURRENT_RESIZE_RULE,
    ) -> None:
        self._frames, self._batch, self._seed, self._textures = frames, batch, seed, textures
        self._device, self._rule = device, rule
        self._cache = TargetCache(
            detector, lambda index: normalised_images(frames[index : index + 1], device), len(frames)
        )

    def targets(self, index: int) -> Targets:
        """The teacher's outputs for an image."""
        return self._cache.get(index)

    def at(self, iteration: int, stage: Stage) -> Batch:
        """The batch of an iteration of a stage."""
        indices = indices_of(iteration, self._batch, len(self._frames), self._seed)
        frames = self._frames[indices]
        batch = Batch(normalised_images(frames, self._device))
        if stage.needs_targets:
            maps = zip(*(self.targets(index) for index in indices), strict=True)
            batch = batch._replace(targets=tuple(torch.cat(entry) for entry in maps))
        if stage.synthetic:
            corrupted, masks = self._corrupt(frames, iteration, stage.name)
            batch = batch._replace(corrupted=corrupted, masks=masks)
        return batch

    def _corrupt(self, frames: Frames, iteration: int, stage: str) -> tuple[Tensor, Tensor]:
        rng = np.random.default_rng((self._seed, iteration, *stage.encode()))
        pairs = [corrupt(frame, self._textures, rng, self._rule) for frame in frames]
        masks = torch.from_numpy(np.stack([mask for _, mask in pairs])).to(self._device)
        return normalised_images(np.stack([frame for frame, _ in pairs]), self._device), masks


def indices_of(iteration: int, batch: int, count: int, seed: int) -> list[int]:
    """The images of an iteration: each epoch is a permutation that follows from the seed and its number.

    Args:
        iteration: Its number, from 0.
        batch: Images an iteration.
        count: Images in all.
        seed: Of the order.
    """
    places = range(iteration * batch, (iteration + 1) * batch)
    return [int(np.random.default_rng((seed, place // count)).permutation(count)[place % count]) for place in places]


def normalised_images(frames: NDArray[np.uint8] | NDArray[np.float32], device: torch.device) -> Tensor:
    """Normalised RGB [N, 3, H, W] of frames [N, H, W, 3] BGR, 0..255."""
    images = torch.from_numpy(frames[..., ::-1].copy()).to(device).permute(0, 3, 1, 2)
    return normalise(images).contiguous(memory_format=torch.channels_last)
