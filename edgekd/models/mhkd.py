"""MHKD: multi-level hierarchical knowledge distillation for structural and logical anomalies.

A student of two encoders and two decoders learns a padded PDN-M teacher on good images. The structural encoder and
the local decoder keep places and so find damage; the global decoder squeezes the whole image through 64 numbers and
so finds what is missing, misplaced or too many. It learns from the teacher and from the student's own first encoder.
Source: MHKD; widths, kernels and weights that the paper leaves open from Xmh-L/MHKD4AD (MHKD.py, common.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.models.backbones.pdn import FEATURES, STRIDE
from edgekd.models.detector import Batch, Deployed
from edgekd.models.maps import (
    Score,
    measured_ranges,
    resize_and_smooth,
    resized,
    scales_and_shifts,
    scores_of,
    smoothed,
    unit_ranges,
)
from edgekd.models.multiscale import frame_entry
from edgekd.models.patch_detector import PatchDetector
from edgekd.models.patch_features import PatchTeacher
from edgekd.models.sizes import nearest_multiples
from edgekd.models.standardisation import Places
from edgekd.preprocessing import Size, parse_size

WIDTH = 512
BOTTLENECK = 64
MOST_WIDTH = 8192  # Of the semantic encoder; wider ones would not fit into memory.
SIZE_STEP = 64  # The global decoder's first grid has a 64th of the image's sides.
SMOOTHING = 2.0  # Pixels, of the map that localises.


class BicubicResize(nn.Module):
    """Resizes maps to a fixed grid, bicubic.

    Args:
        inputs, outputs: Height and width of the grids.
    """

    def __init__(self, inputs: Size, outputs: Size) -> None:
        super().__init__()
        self.inputs, self.outputs = inputs, outputs

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, *outputs] of [N, C, *inputs]."""
        return functional.interpolate(x, self.outputs, mode="bicubic", align_corners=False)


def structural_encoder() -> nn.Sequential:
    """SEncoder1: from images [N, 3, H, W] to f_l [N, 384, H / 4, W / 4]."""
    return nn.Sequential(
        nn.Conv2d(3, 128, 4, padding=3),
        nn.ReLU(),
        nn.MaxPool2d(2, 2, padding=1),
        nn.Conv2d(128, 128, 4, padding=3),
        nn.ReLU(),
        nn.Conv2d(128, 256, 3, padding=1),
        nn.ReLU(),
        nn.MaxPool2d(2, 2, padding=1),
        nn.Conv2d(256, WIDTH, 1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, FEATURES, 4),
        nn.ReLU(),
        nn.Conv2d(FEATURES, FEATURES, 1),
    )


def semantic_encoder(middle_width: int) -> nn.Sequential:
    """SEncoder2: from f_l to f_h [N, 512, H / 16, W / 16]."""
    return nn.Sequential(
        nn.Conv2d(FEATURES, middle_width, 4, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(middle_width, WIDTH, 4, stride=2, padding=1),
        nn.ReLU(),
    )


def pooled_encoder() -> nn.Sequential:
    """The replacement of SEncoder2 where it is off: the paper leaves it open, the decoders need the same grid."""
    return nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(2), nn.Conv2d(FEATURES, WIDTH, 1), nn.ReLU())


def local_decoder(grid: Size, dropout: float) -> nn.Sequential:
    """LDecoder: from f_h to f_s [N, 384, *grid]."""
    half = _part(grid, 2)
    return nn.Sequential(
        BicubicResize(_part(grid, 4), half),
        nn.Conv2d(WIDTH, WIDTH, 4, padding=2),
        nn.ReLU(),
        nn.Dropout(dropout),
        BicubicResize((half[0] + 1, half[1] + 1), grid),  # The padded kernel of 4 adds a position.
        nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(WIDTH, FEATURES, 1),
        nn.ReLU(),
        nn.Conv2d(FEATURES, FEATURES, 1),
    )


def global_decoder(grid: Size, dropout: float) -> nn.Sequential:
    """GDecoder: from f_h through one position of 64 numbers to f_g [N, 384, *grid]."""
    layers: list[nn.Module] = [nn.Conv2d(WIDTH, BOTTLENECK, _part(grid, 4))]
    sizes = ((1, 1), _part(grid, 16), _part(grid, 8), _part(grid, 2), grid)
    widths = (BOTTLENECK, BOTTLENECK, BOTTLENECK, BOTTLENECK, 128)
    for index in range(4):
        layers += [
            BicubicResize(sizes[index], sizes[index + 1]),
            nn.Conv2d(widths[index], widths[index + 1], 3, padding=1),
            nn.ReLU(),
            nn.Dropout(dropout),
        ]
    layers += [nn.Conv2d(128, 256, 3, padding=1), nn.ReLU(), nn.Dropout(dropout)]
    layers += [nn.Conv2d(256, FEATURES, 3, padding=1), nn.ReLU(), nn.Conv2d(FEATURES, FEATURES, 3, padding=1)]
    return nn.Sequential(*layers)


def _part(grid: Size, divisor: int) -> Size:
    return grid[0] // divisor, grid[1] // divisor


class StudentOutput(NamedTuple):
    """The outputs of the student, [N, 384, H / 4, W / 4] each."""

    encoded: Tensor  # f_l
    whole: Tensor  # f_g
    structure: Tensor  # f_s


class MHKDStudent(nn.Module):
    """Two encoders and two decoders; the arguments are those of `MHKD`."""

    def __init__(self, grid: Size, middle_width: int, semantic: bool, dropout: float) -> None:
        super().__init__()
        self.structural_encoder = structural_encoder()
        self.semantic_encoder = semantic_encoder(middle_width) if semantic else pooled_encoder()
        self.local_decoder = local_decoder(grid, dropout)
        self.global_decoder = global_decoder(grid, dropout)

    def forward(self, images: Tensor) -> StudentOutput:
        """f_l, f_g and f_s of normalised images [N, 3, H, W]."""
        encoded = self.structural_encoder(images)
        semantics = self.semantic_encoder(encoded)
        return StudentOutput(encoded, self.global_decoder(semantics), self.local_decoder(semantics))


class MHKD(PatchDetector):
    """A frozen, padded PDN-M and its student.

    Args:
        size: The image's height and width, in pixels, or the side of a square; the global decoder's bottleneck and the
            decoders' grids follow it.
        teacher: "pdn_medium" as in the paper, "pdn_small", or a backbone, whose patch features teach.
        middle_width: Between SEncoder2's convolutions. 384 makes the paper's counts; the released code has 512.
        semantic_encoder: SEncoder2; off for the ablation of Table IV.
        self_distillation: The loss L_SG and its map; off for the ablation of Table IV.
        dropout: In the decoders, in training.
        local_weight, global_weight, self_weight: Alpha, beta and gamma of the loss.
        score: What an image's score takes from its map: "max", or "top_percent" for the mean of the highest hundredth.
        standardise: Bring all places of the map to mean 0 and deviation 1 over the good images.
    """

    needs_held_out = True
    student: MHKDStudent
    ranges: Tensor

    def __init__(
        self,
        size: int | Size = 256,
        teacher: str = "pdn_medium",
        middle_width: int = 384,
        semantic_encoder: bool = True,
        self_distillation: bool = True,
        dropout: float = 0.2,
        local_weight: float = 1.0,
        global_weight: float = 1.0,
        self_weight: float = 2.0,
        score: Score = "max",
        standardise: bool = False,
    ) -> None:
        if not 0 <= dropout < 1:
            raise EdgekdError(f"dropout must be at least 0 and below 1, got {dropout:g}")
        if not 1 <= middle_width <= MOST_WIDTH:
            raise EdgekdError(f"middle_width must be from 1 to {MOST_WIDTH} channels, got {middle_width}")
        super().__init__(teacher, padded=True)
        self.size = parse_size(size)
        self.student = MHKDStudent(_part(self.size, STRIDE), middle_width, semantic_encoder, dropout)
        self.weights = (local_weight, global_weight, self_weight)
        self.self_distillation, self.score = self_distillation, score
        # Of the structural and the logical map: the quantiles that become 0 and 0.1.
        self.register_buffer("ranges", unit_ranges(2))
        self.places = Places(standardise)

    def training_loss(self, batch: Batch) -> Tensor:
        """Alpha L_L + beta L_G + gamma L_SG; neither side of L_SG is held fixed."""
        targets = self.standardised_targets(batch)
        output = self.student(batch.images)
        local_weight, global_weight, self_weight = self.weights
        loss = local_weight * functional.mse_loss(output.structure.float(), targets)
        loss = loss + global_weight * functional.mse_loss(output.whole.float(), targets)
        if self.self_distillation:
            loss = loss + self_weight * functional.mse_loss(output.whole.float(), output.encoded.float())
        return loss

    @torch.no_grad()
    def patch_maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The structural and the logical map, [N, H / 4, W / 4] each."""
        (features,) = self.targets(images)
        output = self.student(images)
        teacher = self.standardised(features)
        structural = (teacher - output.structure).square().mean(1)
        reference = output.encoded if self.self_distillation else teacher
        return structural, (output.whole - reference).square().mean(1)

    def fit_quantiles(self, images: Iterator[Tensor]) -> None:
        """Measures the quantiles that bring both maps to one scale."""
        self.ranges.copy_(measured_ranges(self.patch_maps(image) for image in images))

    def fit_places(self, images: Iterator[Tensor]) -> None:
        self.places.measure(self.combined_map(image) for image in images)

    def combined_map(self, images: Tensor) -> Tensor:
        """Half the sum of the maps, the quantiles of each brought to 0 and 0.1: [N, H / 4, W / 4]."""
        structural, logical = self.patch_maps(images)
        scales, shift = _scales(self.ranges)
        return scales[0] * structural + scales[1] * logical + shift

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        combined = resized(self.places(self.combined_map(images)), images.shape[2:])
        return scores_of(combined, self.score), smoothed(combined, SMOOTHING)

    def deployed(self) -> Deployed:
        return DeployedMHKD(self)

    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        return nearest_multiples(size, SIZE_STEP, SIZE_STEP)


class DeployedMHKD(Deployed):
    """Teacher and student without dropout; standardisation and quantiles are constants in it."""

    def __init__(self, detector: MHKD) -> None:
        super().__init__()
        detector = copy.deepcopy(detector).eval()
        self.entry = frame_entry()
        self.student = detector.student
        self.teacher = detector.standardised.fold_into(detector.teacher)
        self.self_distillation, self.score, self.places = detector.self_distillation, detector.score, detector.places
        scales, shift = _scales(detector.ranges)
        self.scales, self.shift = (float(scales[0]), float(scales[1])), float(shift)
        self.localise = resize_and_smooth(_part(detector.size, STRIDE), detector.size, SMOOTHING)

    def input_convolutions(self) -> list[nn.Conv2d]:
        return [self.entry, self.teacher.renormalise] if isinstance(self.teacher, PatchTeacher) else [self.entry]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [N], of the resized map, and maps [N, H, W], smoothed, of images [N, 3, H, W]."""
        entered = self.entry(images)
        teacher = self.teacher(images if isinstance(self.teacher, PatchTeacher) else entered)
        output = self.student(entered)
        structural = _mean_square(teacher - output.structure)
        logical = _mean_square(output.whole - (output.encoded if self.self_distillation else teacher))
        combined = self.places(self.scales[0] * structural + self.scales[1] * logical + self.shift)
        return scores_of(resized(combined, images.shape[2:]), self.score), self.localise(combined)


def _mean_square(difference: Tensor) -> Tensor:
    return (difference * difference).mean(1)


def _scales(ranges: Tensor) -> tuple[Tensor, Tensor]:
    """What each map is multiplied by for half the sum of both on one scale; and what is added to that sum."""
    scales, shifts = scales_and_shifts(ranges)
    return 0.5 * scales, 0.5 * shifts.sum()
