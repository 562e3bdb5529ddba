"""The interface of every system: a network that is trained, computes anomaly maps and can be deployed."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator
from typing import NamedTuple

from torch import Tensor, nn

Targets = tuple[Tensor, ...]  # The outputs of a frozen teacher: one map or several, [N, C, h, w] each.


class Batch(NamedTuple):
    """The input of one training step.

    Attributes:
        images: RGB [N, 3, H, W], normalised (edgekd.models.normalisation).
        targets: The teacher's outputs for them, from `Detector.targets` and `Detector.ready_targets`; None to compute
            them.
        corrupted: The same images with synthetic anomalies, normalised alike; None where the stage needs none.
        masks: 1 where the synthetic anomalies are, else 0, [N, H, W].
    """

    images: Tensor
    targets: Targets | None = None
    corrupted: Tensor | None = None
    masks: Tensor | None = None


class Stage(NamedTuple):
    """One stage of a system's training.

    Attributes:
        name: In checkpoints and in progress reports.
        trainable: The module that is trained; everything else is frozen.
        loss: Computes the loss of a batch, a scalar.
        share: Of all iterations, relative to the shares of the other stages.
        rates: Parts of `trainable`, and the factor of the learning rate for each; empty for a factor of 1 throughout.
        needs_targets: Whether a batch contains the teacher's targets.
        synthetic: Whether a batch contains synthetic anomalies.
    """

    name: str
    trainable: nn.Module
    loss: Callable[[Batch], Tensor]
    share: float = 1.0
    rates: tuple[tuple[nn.Module, float], ...] = ()
    needs_targets: bool = True
    synthetic: bool = False


class TrainingDefaults(NamedTuple):
    """How a system is trained where nothing else is asked for: as in its paper, or fitted to a time.

    Attributes:
        iterations: Optimizer steps of all stages together; None where the paper counts epochs, or a time decides.
        epochs: Passes over the good images, of all stages together; None where the paper counts iterations.
        batch: Images per step.
        learning_rate: Highest, of the first stage.
        weight_decay: Of the optimizer.
        schedule: Of the learning rate: "constant", "step" (a tenth of it for the last twentieth) or "cosine" (to 0).
        optimizer: "adam", "adamw" (decoupled weight decay), or "sgd" with momentum 0.9.
        betas: Adam's.
        warm_up: Share of a stage's iterations over which the learning rate rises.
        initialisation: "random" as torch draws weights, or "images", scaled layer by layer on good images.
        augment: How training images are changed at random: any of `edgekd.recipe.AUGMENTATIONS`.
        sizes: Sides of the images, in pixels, ascending: the largest is taken for which the time is enough. They are
            squares.
        enough_iterations: From how many on a larger size is worth its time.
    """

    iterations: int | None = None
    epochs: int | None = None
    batch: int = 1
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    schedule: str = "constant"
    optimizer: str = "adam"
    betas: tuple[float, float] = (0.9, 0.999)
    warm_up: float = 0.0
    initialisation: str = "random"
    augment: tuple[str, ...] = ()
    sizes: tuple[int, ...] = (256,)
    enough_iterations: int = 0


class Deployed(nn.Module, abc.ABC):
    """The inference-only network of a system.

    Its forward takes normalised RGB images [N, 3, H, W] and returns the raw scores [N] and the raw anomaly maps
    [N, H, W]. It holds nothing that these do not need.
    """

    @abc.abstractmethod
    def input_convolutions(self) -> list[nn.Conv2d]:
        """The convolutions that read the images; unpadded, so that normalisation can be folded into them."""


class Detector(nn.Module, abc.ABC):
    """A system in its training form: a frozen teacher and the networks that learn from it.

    Attributes:
        teacher: The frozen teacher.
        needs_held_out: Whether `fit_quantiles` needs good images that were not trained on.
        min_batch: Images that a training step needs at least.
    """

    teacher: nn.Module
    needs_held_out = False
    min_batch = 1

    @abc.abstractmethod
    def pretrained(self) -> dict[str, nn.Module]:
        """The teacher's networks that take pretrained weights, by their names in the catalogue of teachers."""

    @abc.abstractmethod
    def trainable(self) -> nn.Module:
        """The module that is trained: all that is not frozen."""

    def parts(self) -> dict[str, nn.Module]:
        """The parts that the papers count, by name."""
        return {"teacher": self.teacher, "student": self.trainable()}

    def stages(self) -> tuple[Stage, ...]:
        """The stages of training, in their order."""
        return (Stage("student", self.trainable(), self.training_loss),)

    def prepare(self, targets: Iterator[Targets]) -> None:
        """Measures statistics of the good images before training; most systems need none.

        Args:
            targets: The teacher's outputs, [1, C, h, w] each, of every training image once; not made ready.
        """

    def quantizable(self) -> list[nn.Module]:
        """The modules that compute in INT8 in an INT8 graph, for quantization-aware training; empty where unknown.

        The loss must be of the same differences as the map, so that training can make up for the rounding.
        """
        return []

    def fit_quantiles(self, images: Iterator[Tensor]) -> None:
        """Fits the quantiles that normalise the maps on held-out good images after training; most systems have none.

        Args:
            images: Normalised RGB [1, 3, H, W], one image each.
        """

    def fit_places(self, images: Iterator[Tensor]) -> None:
        """Measures what the places of a map are standardised by, after `fit_quantiles`; some systems never do that.

        Args:
            images: Of the training, normalised RGB [1, 3, H, W] each: those that are held out stay unseen.
        """

    @abc.abstractmethod
    def targets(self, images: Tensor) -> Targets:
        """The frozen teacher's outputs for images [N, 3, H, W]; the same each time, so that they can be cached."""

    def ready_targets(self, targets: Targets) -> Targets:
        """Targets as the loss compares them, once `prepare` has measured; most systems take them as they are."""
        return targets

    @abc.abstractmethod
    def training_loss(self, batch: Batch) -> Tensor:
        """The paper's loss of a batch, a scalar; of the first stage where there are several."""

    @abc.abstractmethod
    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raw scores [N] and raw anomaly maps [N, H, W] of normalised RGB images [N, 3, H, W]."""

    def anomaly_map(self, images: Tensor) -> Tensor:
        """The raw anomaly maps [N, H, W] of normalised RGB images [N, 3, H, W]."""
        return self.predict(images)[1]

    def image_scores(self, images: Tensor) -> Tensor:
        """The raw scores [N] of normalised RGB images [N, 3, H, W]."""
        return self.predict(images)[0]

    @abc.abstractmethod
    def deployed(self) -> Deployed:
        """The inference-only network, with this network's weights folded into it."""

    @abc.abstractmethod
    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        """The nearest heights, or widths, that the network takes, in pixels; (size,) where it takes this one."""

    def forward(self, images: Tensor) -> Tensor:
        """The raw anomaly maps [N, H, W] of normalised RGB images [N, 3, H, W]."""
        return self.anomaly_map(images)
