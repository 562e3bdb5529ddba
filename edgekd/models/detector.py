"""What every system is to the rest of the package: a network that learns, maps anomalies and can be deployed."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor, nn


class Batch(NamedTuple):
    """What one training step sees.

    Attributes:
        images: RGB [N, 3, H, W], normalised (edgekd.models.normalisation).
        targets: What the teacher says of them, from `Detector.targets`; None where it shall be asked.
    """

    images: Tensor
    targets: Tensor | None = None


class Deployed(nn.Module, abc.ABC):
    """The inference-only network of a system.

    Its forward takes normalised RGB images [N, 3, H, W] and returns the raw scores [N] and the raw anomaly maps
    [N, H, W]. Only what the answer needs is left in it.
    """

    @abc.abstractmethod
    def input_convolutions(self) -> list[nn.Conv2d]:
        """The convolutions that read the images; unpadded, so that normalisation can be folded into them."""


class Detector(nn.Module, abc.ABC):
    """A system in its training form: a frozen teacher and what learns from it."""

    teacher: nn.Module

    @abc.abstractmethod
    def learning(self) -> nn.Module:
        """The part that is trained, whose state dict a run keeps."""

    @abc.abstractmethod
    def prepare(self, targets: Iterator[Tensor]) -> None:
        """Takes what it needs to know from the good pictures before training.

        Args:
            targets: Of every training picture, once.
        """

    @abc.abstractmethod
    def targets(self, images: Tensor) -> Tensor:
        """What the frozen teacher says of images [N, 3, H, W]: the same each time, so it can be kept."""

    @abc.abstractmethod
    def training_loss(self, batch: Batch) -> Tensor:
        """The paper's loss of a batch, a scalar."""

    @abc.abstractmethod
    def anomaly_map(self, images: Tensor) -> Tensor:
        """Raw anomaly maps [N, H, W] of normalised RGB images [N, 3, H, W]."""

    @abc.abstractmethod
    def image_scores(self, images: Tensor) -> Tensor:
        """Raw scores [N] of normalised RGB images [N, 3, H, W]."""

    @abc.abstractmethod
    def deployed(self) -> Deployed:
        """The inference-only network, with this network's weights folded into it."""

    @abc.abstractmethod
    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        """The nearest picture sides that the network takes; (size,) where it takes this one."""
