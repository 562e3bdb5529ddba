"""HKT and HKT+: hierarchical knowledge transfer from a patch description network.

A student with the teacher's own convolutions learns the teacher's last map on good images. Attention (CBAM) after
every convolution but the last lets it attend as it goes, and a learnable projector at each of these places makes the
shallow layers learn too. HKT+ is the same on the wider and deeper PDN. In place of the PDN, a backbone's own patch
features may teach the same student, which leaves out the PDN's distillation and most of the teacher's cost.
Source: J. Imaging 2025, "HKT"; counts reproduced from its Tables 4, 5 and 6.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.macs import convolution_macs
from edgekd.models.attention import CBAM
from edgekd.models.backbones.pdn import (
    BORDER,
    FEATURES,
    PDN_LAYERS,
    STRIDE,
    PDNLayer,
    grid_size,
    nearest_legal_sizes,
    padding_of,
    reflected,
    without_first_padding,
)
from edgekd.models.detector import Batch, Deployed, Targets
from edgekd.models.maps import Score, scores_of
from edgekd.models.patch_detector import PatchDetector
from edgekd.models.patch_features import TEACHER_STRIDES, PatchTeacher
from edgekd.models.standardisation import Places


class StudentOutput(NamedTuple):
    """The outputs of a student."""

    features: Tensor  # [N, 384, h, w], a position every 4 pixels.
    taps: list[Tensor]  # Projected to [N, 384, h, w] each, shallow first; empty without projectors.


class Projector(nn.Conv2d):
    """Brings a tap to the grid of the last map: resized by the nearest rule, then projected by a 1 x 1 convolution.

    The paper projects first. Both orders give the same, since neither step mixes positions; this one projects only
    the positions that are kept.

    Args:
        width: Channels of the tap.
    """

    def __init__(self, width: int) -> None:
        super().__init__(width, FEATURES, 1)

    def forward(self, tap: Tensor, grid: torch.Size) -> Tensor:  # type: ignore[override]
        """[N, 384, *grid] of a tap [N, width, H, W]."""
        return super().forward(functional.interpolate(tap, grid, mode="nearest"))

    def macs(self, tap: Tensor) -> int:
        """Multiply-accumulates in the paper's order, which projects every position of the tap."""
        return convolution_macs((len(tap), FEATURES, *tap.shape[2:]), self.weight.shape)


class HKTStudent(nn.Module):
    """The convolutions of a PDN, freshly drawn, with CBAM and a projector after each but the last.

    One CBAM and one projector serve every place of the same width, which the paper's counts show.

    Args:
        network: "pdn_small" for HKT, "pdn_medium" for HKT+.
        cbam: Off for the ablation without attention (Table 6).
        projectors: Off for the ablation without learnable projectors (Table 6).
        border: Whether the outer 16 pixels have no positions, as in the paper; else the positions cover the image: it
            is reflected for the first convolution, and the others pad.
    """

    def __init__(self, network: str, cbam: bool = True, projectors: bool = True, border: bool = True) -> None:
        super().__init__()
        self.border = border
        self.layers = PDN_LAYERS[network]
        widths = sorted({layer.outputs for layer in self.layers[:-1]})
        self.convolutions = nn.ModuleList(
            nn.Conv2d(layer.inputs, layer.outputs, layer.kernel, padding=self._padding(layer)) for layer in self.layers
        )
        self.pool = nn.AvgPool2d(2, 2, padding=0 if border else 1)
        self.cbams = nn.ModuleDict({str(width): CBAM(width) for width in widths} if cbam else {})
        self.projectors = nn.ModuleDict({str(width): Projector(width) for width in widths} if projectors else {})

    def forward(self, images: Tensor) -> StudentOutput:
        """The student's features of normalised images [N, 3, H, W], and its projected taps."""
        taps, x = [], images if self.border else reflected(images)
        for convolution, layer in zip(self.convolutions, self.layers, strict=True):
            x = convolution(x)
            if layer is self.layers[-1]:
                break
            x = self.attend(functional.relu(x))
            taps.append(x)
            x = self.pool(x) if layer.pool else x
        if not self.projectors:
            return StudentOutput(x, [])
        return StudentOutput(x, [self._project(tap, x.shape[2:]) for tap in taps])

    def _padding(self, layer: PDNLayer) -> int:
        return 0 if self.border or layer is self.layers[0] else padding_of(layer)

    def attend(self, x: Tensor) -> Tensor:
        """The map after the CBAM of its width; unchanged where there is none."""
        if not self.cbams:
            return x
        attended: Tensor = self.cbams[str(x.shape[1])](x)
        return attended

    def _project(self, tap: Tensor, grid: torch.Size) -> Tensor:
        projected: Tensor = self.projectors[str(tap.shape[1])](tap, grid)
        return projected


class HKT(PatchDetector):
    """A frozen teacher and its student.

    Args:
        student: The student's convolutions, "pdn_small" for HKT and "pdn_medium" for HKT+.
        teacher: A PDN with the student's convolutions, as in the paper, or a backbone such as "efficientnet_lite1",
            whose patch features teach. None for the PDN.
        cbam, projectors: Off for the ablations of Table 6.
        tap_weight: The weight of the projected taps in the loss, lambda 1 of the paper.
        score: What an image's score takes from its map: "max", or "top_percent" for the mean of the highest hundredth.
        border: Whether the outer 16 pixels of an image are blind, as in the paper, where the networks do not pad; else
            they pad like MHKD's, the first convolution by reflection, and the map's positions cover all of it.
        standardise: Bring all places of the map to mean 0 and deviation 1 over the good images.
    """

    student: HKTStudent

    def __init__(
        self,
        student: str = "pdn_small",
        teacher: str | None = None,
        cbam: bool = True,
        projectors: bool = True,
        tap_weight: float = 0.5,
        score: Score = "max",
        border: bool = True,
        standardise: bool = False,
    ) -> None:
        teacher = teacher or student
        if teacher in PDN_LAYERS and teacher != student:
            raise EdgekdError(f"the teacher of this student must be {student} or a backbone, got {teacher}")
        super().__init__(teacher, padded=not border)
        self.reflects = False
        if not border and isinstance(self.teacher, nn.Sequential):  # A backbone pads by itself.
            self.reflects = True
            without_first_padding(self.teacher)
        self.student = HKTStudent(student, cbam, projectors, border)
        self.tap_weight, self.score, self.border = tap_weight, score, border
        self.places = Places(standardise)

    def quantizable(self) -> list[nn.Module]:
        return [self.teacher, self.student.convolutions]

    @torch.no_grad()
    def targets(self, images: Tensor) -> Targets:
        """The teacher's features [N, 384, h, w], not standardised, at the positions of the student's."""
        return (self.teacher(reflected(images) if self.reflects else images),)

    def training_loss(self, batch: Batch) -> Tensor:
        """The squared distance of the last maps, plus that of every projected tap times its weight (eq. 1.3)."""
        targets = self.standardised_targets(batch)
        output = self.student(batch.images)
        loss = functional.mse_loss(output.features.float(), targets)
        for tap in output.taps:
            loss = loss + self.tap_weight * functional.mse_loss(tap.float(), targets)
        return loss

    def fit_places(self, images: Iterator[Tensor]) -> None:
        self.places.measure(self.patch_map(image) for image in images)

    @torch.no_grad()
    def patch_map(self, images: Tensor) -> Tensor:
        """The squared difference of the last maps, averaged over channels: [N, h, w] (eq. 1.5)."""
        (features,) = self.targets(images)
        difference: Tensor = self.standardised(features) - self.student(images).features
        return difference.square().mean(1)

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        patches = self.places(self.patch_map(images))
        return scores_of(patches, self.score), place_map(patches, images.shape[2:], self.border)

    def deployed(self) -> Deployed:
        return DeployedHKT(self)

    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        # A backbone's coarsest map must cover the image exactly, or its features lose their place.
        return nearest_legal_sizes(size, TEACHER_STRIDES[-1] if isinstance(self.teacher, PatchTeacher) else STRIDE)


class DeployedHKT(Deployed):
    """Teacher and student as one network that computes their difference, without the projectors."""

    def __init__(self, detector: HKT) -> None:
        super().__init__()
        detector = copy.deepcopy(detector).eval()
        self.reflects = detector.reflects
        self.student, self.score, self.border = detector.student, detector.score, detector.border
        self.places = detector.places
        self.student.projectors = nn.ModuleDict()
        last = self.student.convolutions[-1]
        self.student.convolutions = self.student.convolutions[:-1]
        self.teacher, self.difference = _teacher_and_difference(detector, last)

    def input_convolutions(self) -> list[nn.Conv2d]:
        first = self.teacher.renormalise if isinstance(self.teacher, PatchTeacher) else next(self.teacher.children())
        return [_convolution(first), _convolution(self.student.convolutions[0])]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [N], of each map on its own grid, and maps [N, H, W] of images [N, 3, H, W]."""
        around = images if self.border else reflected(images)
        x = around
        for convolution, layer in zip(self.student.convolutions, self.student.layers, strict=False):
            x = self.student.attend(functional.relu(convolution(x)))
            x = self.student.pool(x) if layer.pool else x
        difference = self.difference(self.teacher(around if self.reflects else images), x)
        patch_map = self.places((difference * difference).mean(1))
        return scores_of(patch_map, self.score), place_map(patch_map, images.shape[2:], self.border)


class Difference(nn.Module):
    """The standardised features of a teacher minus those of a student, whose last convolution is part of this."""

    def __init__(self, student: nn.Module) -> None:
        super().__init__()
        self.student = student

    def forward(self, teacher: Tensor, student: Tensor) -> Tensor:
        difference: Tensor = teacher - self.student(student)
        return difference


class MergedDifference(nn.Module):
    """The last convolutions of a PDN and its student as one: the teacher's standardised features minus the student's.

    It reads both inputs together, with weights [W_teacher / std, -W_student], so the difference is taken in the
    accumulator and two maps of 384 channels are never written to memory.

    Args:
        teacher, student: The last convolutions.
        mean, std: The teacher's standardisation, [384] each.
    """

    @torch.no_grad()
    def __init__(self, teacher: nn.Module, student: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        teacher, student = _convolution(teacher), _convolution(student)
        assert teacher.bias is not None
        assert student.bias is not None
        kernel = (teacher.kernel_size[0], teacher.kernel_size[1])
        self.convolution = nn.Conv2d(2 * teacher.in_channels, FEATURES, kernel)
        weight = teacher.weight / std.view(-1, 1, 1, 1)
        self.convolution.weight = nn.Parameter(torch.cat([weight, -student.weight], dim=1))
        self.convolution.bias = nn.Parameter((teacher.bias - mean) / std - student.bias)

    def forward(self, teacher: Tensor, student: Tensor) -> Tensor:
        difference: Tensor = self.convolution(torch.cat([teacher, student], dim=1))
        return difference


def _teacher_and_difference(detector: HKT, student: nn.Module) -> tuple[nn.Module, nn.Module]:
    """The layers of the teacher alone, and the layer that subtracts the student from it."""
    teacher = detector.teacher
    if isinstance(teacher, PatchTeacher):
        return detector.standardised.fold_into(teacher), Difference(student)
    assert isinstance(teacher, nn.Sequential)
    standardised = detector.standardised
    return teacher[:-1], MergedDifference(teacher[-1], student, standardised.mean, standardised.std)


def _convolution(module: nn.Module) -> nn.Conv2d:
    assert isinstance(module, nn.Conv2d)
    return module


def place_map(patch_map: Tensor, size: Sequence[int], border: bool) -> Tensor:
    """Brings a map of patches to the image's size, bilinear.

    Args:
        patch_map: [N, h, w], a position every 4 pixels.
        size: The image's height and width, in pixels.
        border: Whether the map lacks the border of an unpadded PDN, which is then filled with zeros.

    Returns:
        [N, *size].
    """
    height, width = size
    expected = [grid_size(side) if border else side // STRIDE for side in (height, width)]
    assert list(patch_map.shape[1:]) == expected, f"an image side must be a multiple of {STRIDE}"
    whole = functional.pad(patch_map, (BORDER,) * 4) if border else patch_map
    return functional.interpolate(whole.unsqueeze(1), (height, width), mode="bilinear", align_corners=False).squeeze(1)
