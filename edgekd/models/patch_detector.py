"""What HKT and MHKD share: a student that learns a frozen teacher's description of every patch."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from edgekd.models.backbones.pdn import FEATURES
from edgekd.models.detector import Batch, Detector, Targets
from edgekd.models.standardisation import Standardised
from edgekd.models.teachers import build_teacher, pretrained_network


class PatchDetector(Detector):
    """A frozen teacher whose features, standardised over the good images, a student learns.

    Args:
        teacher: "pdn_small", "pdn_medium", or a backbone, whose patch features teach.
        padded: Whether the teacher's grid covers the whole image.
    """

    student: nn.Module

    def __init__(self, teacher: str, padded: bool) -> None:
        super().__init__()
        self.teacher_name = teacher
        self.teacher = build_teacher(teacher, padded).eval().requires_grad_(False)
        self.standardised = Standardised(FEATURES)

    def pretrained(self) -> dict[str, nn.Module]:
        return {self.teacher_name: pretrained_network(self.teacher)}

    def trainable(self) -> nn.Module:
        return self.student

    def prepare(self, targets: Iterator[Targets]) -> None:
        """Measures the mean and standard deviation of each of the teacher's channels over the good images."""
        self.standardised.measure(features for (features,) in targets)

    @torch.no_grad()
    def targets(self, images: Tensor) -> Targets:
        """The teacher's features [N, 384, grid, grid], not standardised."""
        return (self.teacher(images),)

    def ready_targets(self, targets: Targets) -> Targets:
        """The same features, standardised."""
        (features,) = targets
        return (self.standardised(features),)

    def standardised_targets(self, batch: Batch) -> Tensor:
        """The teacher's standardised features of a batch, [N, 384, grid, grid]."""
        (features,) = self.ready_targets(self.targets(batch.images)) if batch.targets is None else batch.targets
        return features
