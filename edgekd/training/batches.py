"""What each training step sees, following from the step's number alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd.data.symmetries import ALL_SYMMETRIES, FLIP_HORIZONTAL, FLIP_VERTICAL, shifted, transformed, turned
from edgekd.data.synthetic_anomalies import corrupt
from edgekd.data.textures import Textures
from edgekd.errors import EdgekdError
from edgekd.models.detector import Batch, Detector, Stage, Targets
from edgekd.models.normalisation import normalise
from edgekd.preprocessing import Size, size_text
from edgekd.resize_rules import CURRENT_RESIZE_RULE
from edgekd.training.memory import available_memory
from edgekd.training.prefetch import Prefetch
from edgekd.training.targets import TargetCache

SHARE_OF_MEMORY_FOR_TEXTURES = 0.1
MOST_SHIFT = 1 / 64  # Of a side: as far as parts lie apart that are framed alike.
MOST_WORKERS = 4  # On a GPU; one makes the anomalies of a batch of 16 in 25 ms.

# What `augment` can name, and the symmetries that each draws from.
AUGMENTATIONS = {
    "flip_horizontal": FLIP_HORIZONTAL,
    "flip_vertical": FLIP_VERTICAL,
    "symmetries": ALL_SYMMETRIES,
    "turn": 0,
    "shift": 0,
}
OF_SQUARES = ("symmetries", "turn")  # A rectangle that is turned does not fit its own frame.

Frames = NDArray[np.uint8]  # [N, H, W, 3], BGR


class Drawn(NamedTuple):
    """A batch before any network sees it.

    Attributes:
        numbers: Of the targets in their cache; None for frames that are turned or shifted, whose targets are not kept.
        frames: uint8 [N, H, W, 3], BGR, augmented.
        corrupted: The same with synthetic anomalies, float32; None where the stage needs none.
        masks: Where those are, float32 [N, H, W].
    """

    numbers: list[int] | None
    frames: Frames
    corrupted: NDArray[np.float32] | None = None
    masks: NDArray[np.float32] | None = None


class Batches:
    """The batches of a run, made ahead in other threads; `with` ends those.

    Args:
        detector: Whose teacher gives the targets.
        frames: The training images, uint8 [N, H, W, 3], BGR.
        batch: Images a step.
        seed: Of the order, of how images are augmented and of the synthetic anomalies.
        textures: Images that the anomalies take their texture from; none for noise.
        device: Where batches are put.
        rule: To resize textures by: that of the run.
        dtype: In which targets are kept: float32, or bfloat16 where the run computes in it.
        augment: How images are changed, at random: any of `AUGMENTATIONS`. Flips and quarter turns ("symmetries") have
            targets that can be kept; any angle ("turn") and shifts by up to 1/64 of a side ("shift") ask the teacher
            each time. Both turns are for squares.
        workers: Threads that make batches ahead; None for as many as suit the device. Batches are the same with any.
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
        dtype: torch.dtype = torch.float32,
        augment: Sequence[str] = (),
        workers: int | None = None,
    ) -> None:
        self._detector, self._frames, self._batch, self._seed = detector, frames, batch, seed
        self._device, self._dtype = device, dtype
        room = int(available_memory(torch.device("cpu")) * SHARE_OF_MEMORY_FOR_TEXTURES)
        self._textures = Textures(textures, frames.shape[1:3], rule, room) if textures else None
        self._turns, self._shifts = "turn" in augment, "shift" in augment
        self._symmetries = symmetries_of(augment)
        self._workers = workers_for(device) if workers is None else workers
        self._drawn: tuple[Stage, Prefetch[Drawn]] | None = None
        self._targets = TargetCache(detector, self._image, len(frames), len(self._symmetries), dtype)

    def __enter__(self) -> Batches:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the threads that make batches ahead."""
        if self._drawn is not None:
            self._drawn[1].close()
            self._drawn = None

    def prepare(self) -> None:
        """Lets the detector measure its statistics of the images as they are."""
        self._targets.prepare()

    def at(self, iteration: int, stage: Stage) -> Batch:
        """The batch of an iteration of a stage."""
        drawn = self._prefetched(stage).get(iteration)
        batch = Batch(normalised_images(drawn.frames, self._device))
        if stage.needs_targets:
            batch = batch._replace(targets=self._targets_of(drawn, batch.images))
        if drawn.corrupted is not None and drawn.masks is not None:
            masks = torch.from_numpy(drawn.masks).to(self._device)
            batch = batch._replace(corrupted=normalised_images(drawn.corrupted, self._device), masks=masks)
        return batch

    def _prefetched(self, stage: Stage) -> Prefetch[Drawn]:
        if self._drawn is None or self._drawn[0].name != stage.name:
            self.close()
            slow = stage.synthetic or self._turns  # Else making a batch is copying it.
            self._drawn = stage, Prefetch(partial(self._draw, stage), self._workers if slow else 0)
        return self._drawn[1]

    def _draw(self, stage: Stage, iteration: int) -> Drawn:
        """Makes a batch; in any thread."""
        indices = indices_of(iteration, self._batch, len(self._frames), self._seed)
        drawn = self._augmented(indices, np.random.default_rng((self._seed, iteration, *b"augment")))
        if not stage.synthetic:
            return drawn
        rng = np.random.default_rng((self._seed, iteration, *stage.name.encode()))
        pairs = [corrupt(frame, self._textures, rng) for frame in drawn.frames]
        corrupted, masks = (np.stack(entries) for entries in zip(*pairs, strict=True))
        return drawn._replace(corrupted=corrupted, masks=masks)

    def _augmented(self, indices: list[int], rng: np.random.Generator) -> Drawn:
        variants = rng.integers(len(self._symmetries), size=len(indices))
        numbers = [int(variant) * len(self._frames) + index for variant, index in zip(variants, indices, strict=True)]
        frames = [self._frame(number) for number in numbers]
        if self._turns:
            frames = [turned(np.ascontiguousarray(frame), rng.uniform(0, 360)) for frame in frames]
        if self._shifts:
            most = [round(side * MOST_SHIFT) for side in self._frames.shape[1:3]]
            frames = [shifted(frame, *(int(rng.integers(-limit, limit + 1)) for limit in most)) for frame in frames]
        return Drawn(None if self._turns or self._shifts else numbers, np.stack(frames))

    def _frame(self, number: int) -> Frames:
        """The frame [H, W, 3] of a number in the cache: first all images, then a variant of each, and so on."""
        variant, index = divmod(number, len(self._frames))
        return transformed(self._frames[index], self._symmetries[variant])

    def _image(self, number: int) -> Tensor:
        return normalised_images(self._frame(number)[None], self._device)

    def _targets_of(self, drawn: Drawn, images: Tensor) -> Targets:
        if drawn.numbers is None:
            return self._detector.ready_targets(self._detector.targets(images))
        return self._targets.get(drawn.numbers)


def symmetries_of(augment: Sequence[str]) -> list[int]:
    """The symmetries that images are drawn in, the one that leaves them as they are first.

    Args:
        augment: Of `AUGMENTATIONS`.
    """
    bits = 0
    for name in augment:
        bits |= AUGMENTATIONS[name]
    return [symmetry for symmetry in range(ALL_SYMMETRIES + 1) if symmetry & bits == symmetry]


def require_suitable(augment: Sequence[str], size: Size) -> None:
    """Refuses to turn rectangles.

    Args:
        augment: Of `AUGMENTATIONS`.
        size: Height and width of the images, in pixels.

    Raises:
        EdgekdError: Images are to be turned that are no squares.
    """
    height, width = size
    turns = [name for name in augment if name in OF_SQUARES]
    if turns and height != width:
        raise EdgekdError(
            f"--augment {turns[0]} turns images, and {size_text(size)} is not a square: use flip_horizontal and "
            "flip_vertical, which also make half turns together, or a square --size"
        )


def workers_for(device: torch.device) -> int:
    """Threads that make batches ahead: one beside a CPU that trains, more beside a GPU, which must not wait."""
    return 1 if device.type == "cpu" else max(1, min(MOST_WORKERS, (os.cpu_count() or 2) - 1))


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
    height, width = frames.shape[1:3]
    rgb = cv2.cvtColor(frames.reshape(-1, width, 3), cv2.COLOR_BGR2RGB).reshape(-1, height, width, 3)
    images = torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2)
    return normalise(images).contiguous(memory_format=torch.channels_last)
