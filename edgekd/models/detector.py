"""What every system is to the rest of the package: a network that learns, maps anomalies and can be deployed."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor, nn

Targets = tuple[Tensor, ...]  # What a frozen teacher says of images: one map or several, [N, C, h, w] each.


class Batch(NamedTuple):
    """What one training step sees.

    Attributes:
        images: RGB [N, 3, H, W], normalised (edgekd.models.normalisation).
        targets: What the teacher says of them, from `Detector.targets`; None where it shall be asked.
        corrupted: The same images with synthetic anomalies, normalised alike; None where the stage asks for none.
        masks: Where those are, 0 or 1, [N, H, W].
    """

    images: Tensor
    targets: Targets | None = None
    corrupted: Tensor | None = None
    masks: Tensor | None = None


class Stage(NamedTuple):
    """One stage of a system's training.

    Attributes:
        name: In checkpoints and in progress.
        trainable: The module that is trained; everything else is frozen.
        loss: Of a batch, a scalar.
        share: Of all iterations, relative to the other stages'.
        rates: Parts of `trainable` and what the learning rate is multiplied by for each; empty for 1 throughout.
        asks_teacher: Whether a batch carries the teacher's targets.
        synthetic: Whether a batch carries synthetic anomalies.
    """

    name: str
    trainable: nn.Module
    loss: Callable[[Batch], Tensor]
    share: float = 1.0
    rates: tuple[tuple[nn.Module, float], ...] = ()
    asks_teacher: bool = True
    synthetic: bool = False


class TrainingDefaults(NamedTuple):
    """How a system is trained where nothing else is said: as its paper does, or by a choice where that is silent.

    Attributes:
        iterations: Optimizer steps of all stages together; None where the paper counts epochs.
        epochs: Passes over the good images, of all stages together; None where it counts iterations.
        batch: Images a step.
        learning_rate: Of the first stage.
        weight_decay: Of the optimizer.
        schedule: Of the learning rate: "constant", "step" (a tenth of it for the last twentieth) or "cosine" (to 0).
        optimizer: "adam", or "sgd" with momentum 0.9.
        betas: Adam's.
    """

    iterations: int | None = None
    epochs: int | None = None
    batch: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    schedule: str = "constant"
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)


class Deployed(nn.Module, abc.ABC):
    """The inference-only network of a system.

    Its forward takes normalised RGB images [N, 3, H, W] and returns the raw scores [N] and the raw anomaly maps
    [N, H, W]. Only what the answer needs is left in it.
    """

    @abc.abstractmethod
    def input_convolutions(self) -> list[nn.Conv2d]:
        """The convolutions that read the images; unpadded, so that normalisation can be folded into them."""


class Detector(nn.Module, abc.ABC):
    """A system in its training form: a frozen teacher and what learns from it.

    Attributes:
        teacher: Frozen.
        needs_held_out: Whether `fit_quantiles` needs good images that were not trained on.
        least_batch: Images that a training step needs.
    """

    teacher: nn.Module
    needs_held_out = False
    least_batch = 1

    @abc.abstractmethod
    def pretrained(self) -> dict[str, nn.Module]:
        """The teacher's networks that take pretrained weights, by their names in the catalogue of teachers."""

    @abc.abstractmethod
    def trainable(self) -> nn.Module:
        """All that is trained."""

    def parts(self) -> dict[str, nn.Module]:
        """What the papers count, by name."""
        return {"teacher": self.teacher, "student": self.trainable()}

    def stages(self) -> tuple[Stage, ...]:
        """The stages of training, in their order."""
        return (Stage("student", self.trainable(), self.training_loss),)

    def prepare(self, targets: Iterator[Targets]) -> None:
        """Takes what it needs to know from the good images before training; most systems need nothing.

        Args:
            targets: Of every training image, once.
        """

    def quantizable(self) -> list[nn.Module]:
        """What of it computes in INT8 in an INT8 graph, for quantization-aware training; none where that is not known.

        The loss must be about the same differences as the map, so that rounding can be learned away.
        """
        return []

    def fit_quantiles(self, images: Iterator[Tensor]) -> None:
        """Takes what it needs to know from held-out good images after training; most systems need nothing.

        Args:
            images: Normalised RGB [1, 3, H, W], one image each.
        """

    @abc.abstractmethod
    def targets(self, images: Tensor) -> Targets:
        """What the frozen teacher says of images [N, 3, H, W]: the same each time, so it can be kept."""

    @abc.abstractmethod
    def training_loss(self, batch: Batch) -> Tensor:
        """The paper's loss of a batch, a scalar; that of the first stage where there are several."""

    @abc.abstractmethod
    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raw scores [N] and raw anomaly maps [N, H, W] of normalised RGB images [N, 3, H, W]."""

    def anomaly_map(self, images: Tensor) -> Tensor:
        """The maps alone."""
        return self.predict(images)[1]

    def image_scores(self, images: Tensor) -> Tensor:
        """The scores alone."""
        return self.predict(images)[0]

    @abc.abstractmethod
    def deployed(self) -> Deployed:
        """The inference-only network, with this network's weights folded into it."""

    @abc.abstractmethod
    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        """The nearest image sides that the network takes; (size,) where it takes this one."""

    def forward(self, images: Tensor) -> Tensor:
        """The raw anomaly maps."""
        return self.anomaly_map(images)
