"""MTHF: multiple teacher-student groups, hybrid attention and two-stage fusion.

Several backbones each teach a student with their own trunk; a hybrid attention after every scale and a top-down
feature fusion make the maps that are compared. The maps of a group's scales are multiplied, for sharp borders; the
maps of the groups are averaged, for coverage.
Source: MTHF's abstract and captions. All sizes below are our reading of them, chosen so that each part does what the
paper describes.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from math import prod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.errors import EdgekdError
from edgekd.models.attention import HAM
from edgekd.models.detector import Batch, Deployed, Detector, Targets
from edgekd.models.maps import (
    Score,
    area_weights,
    cosine_distance,
    measured_ranges,
    resize_and_smooth,
    resized,
    scales_and_shifts,
    scores_of,
    smoothed,
    unit_ranges,
)
from edgekd.models.multiscale import Backbone, MultiscaleTeacher, frame_entry
from edgekd.models.sizes import nearest_multiples
from edgekd.models.standardisation import Places
from edgekd.models.teachers import build_multiscale_teacher, build_trunk, pretrained_network
from edgekd.preprocessing import Size, parse_size

STRIDES = (4, 8, 16)
GROUPS = ("efficientnet_lite0", "efficientnet_lite1")  # Whose weights a fresh machine has.
PAPER_LIKE_GROUPS = ("resnet18", "mobilenet_v2", "efficientnet_b0")
SIZE_STEP, SMALLEST_SIZE = 32, 64
SMOOTHING = 4.0  # Pixels.

PerGroup = Tensor | list[float]


class FeatureFusion(nn.Module):
    """FFM: a scale's own features with those of the next coarser one.

    Args:
        width: Channels of the scale, in and out.
        coarser: Channels of the fused features of the next coarser scale; None for the coarsest.
    """

    def __init__(self, width: int, coarser: int | None) -> None:
        super().__init__()
        self.lateral = None if coarser is None else nn.Conv2d(coarser, width, 1, bias=False)
        self.fuse = nn.Sequential(
            nn.Conv2d(width if coarser is None else 2 * width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 1),
        )

    def forward(self, x: Tensor, coarser: Tensor | None) -> Tensor:
        """Fused features, of the shape of x [N, width, H, W]."""
        if self.lateral is not None and coarser is not None:
            upsampled = functional.interpolate(
                self.lateral(coarser), scale_factor=2, mode="bilinear", align_corners=False
            )
            x = torch.cat([x, upsampled], dim=1)
        fused: Tensor = self.fuse(x)
        return fused


class GroupStudent(nn.Module):
    """The student of a group: its teacher's trunk, freshly drawn, with attention and fusion after each scale.

    Args:
        trunk: Freshly drawn.
        widths: Channels of its maps, finest first.
        attention: HAM; off for the ablation.
        fusion: FFM; off for the ablation of Table 3.
    """

    def __init__(self, trunk: Backbone, widths: Sequence[int], attention: bool, fusion: bool) -> None:
        super().__init__()
        trunk.truncate(STRIDES[-1])
        self.trunk = trunk
        self.attentions = nn.ModuleList(HAM(width) for width in widths) if attention else None
        coarser: list[int | None] = [*widths[1:], None]
        pairs = zip(widths, coarser, strict=True)
        self.fusions = nn.ModuleList(FeatureFusion(width, next_one) for width, next_one in pairs) if fusion else None

    def forward(self, images: Tensor) -> Targets:
        """g_1, g_2, g_3 of images [N, 3, H, W], of the shapes of the teacher's maps."""
        maps = self.trunk.features(images, STRIDES)
        if self.attentions is not None:
            maps = [attend(entry) for attend, entry in zip(self.attentions, maps, strict=True)]
        if self.fusions is None:
            return tuple(maps)
        fused: list[Tensor] = []
        for fuse, entry in zip(reversed(self.fusions), reversed(maps), strict=True):
            fused.insert(0, fuse(entry, fused[0] if fused else None))
        return tuple(fused)


class MTHF(Detector):
    """Frozen backbones, a student each, and the two-stage fusion of their maps.

    Args:
        size: The image's height and width, in pixels, or the side of a square.
        groups: The backbones. The paper has three without naming them: "resnet18", "mobilenet_v2" and
            "efficientnet_b0" would do; the default are two light ones whose weights need no download.
        attention: HAM; off for the ablation.
        fusion: FFM; off for the ablation of Table 3.
        scale_fusion: How a group's scales are fused: "product", "sum", or "area" for a mean in which each scale weighs
            by the area that one of its places stands for.
        group_fusion: How the groups are fused: "mean", "max", or "product" of what exceeds the lower quantile.
        score: What an image's score takes from its map: "max", or "top_percent" for the mean of the highest hundredth.
        standardise: Bring all places of the map to mean 0 and deviation 1 over the good images.
        two_stage: Off to average all scales of all groups at once, without quantiles (ablation).
    """

    teacher: nn.ModuleDict
    ranges: Tensor

    def __init__(
        self,
        size: int | Size = 256,
        groups: Sequence[str] = GROUPS,
        attention: bool = True,
        fusion: bool = True,
        scale_fusion: Literal["product", "sum", "area"] = "product",
        group_fusion: Literal["mean", "max", "product"] = "mean",
        two_stage: bool = True,
        score: Score = "max",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        if not groups or len(set(groups)) != len(groups):
            raise EdgekdError(f"mthf takes one teacher or several different ones, got {' '.join(groups) or 'none'}")
        if scale_fusion not in ("product", "sum", "area") or group_fusion not in ("mean", "max", "product"):
            raise EdgekdError("mthf takes scale_fusion=product, sum or area, and group_fusion=mean, max or product")
        self.size, self.groups, self.score = parse_size(size), tuple(groups), score
        self.scale_fusion, self.group_fusion = (scale_fusion, group_fusion) if two_stage else ("sum", "mean")
        self.needs_held_out = two_stage
        teachers = {name: build_multiscale_teacher(name, STRIDES) for name in groups}
        self.teacher = nn.ModuleDict(teachers)
        self.students = nn.ModuleDict(
            {
                name: GroupStudent(build_trunk(name), teacher.widths, attention, fusion)
                for name, teacher in teachers.items()
            }
        )
        # Of every group's map: the quantiles that become 0 and 0.1.
        self.register_buffer("ranges", unit_ranges(len(groups)))
        self.places = Places(standardise)

    def pretrained(self) -> dict[str, nn.Module]:
        return {name: pretrained_network(teacher) for name, teacher in self.teacher.items()}

    def trainable(self) -> nn.Module:
        return self.students

    def parts(self) -> dict[str, nn.Module]:
        teachers = {f"teacher {name}": teacher for name, teacher in self.teacher.items()}
        return teachers | {f"student {name}": student for name, student in self.students.items()}

    @torch.no_grad()
    def targets(self, images: Tensor) -> Targets:
        """The maps of every group's teacher, group after group, finest first."""
        return tuple(entry for teacher in self.teacher.values() for entry in teacher(images))

    def training_loss(self, batch: Batch) -> Tensor:
        """One less the cosine, the mean over positions, summed over scales and groups.

        The groups share nothing, so one sum trains each on its own.
        """
        targets = self.targets(batch.images) if batch.targets is None else batch.targets
        return torch.stack([distance.mean() for distance in self._distances(batch.images, targets)]).sum()

    def _distances(self, images: Tensor, targets: Targets) -> list[Tensor]:
        maps = [entry for student in self.students.values() for entry in student(images)]
        return [cosine_distance(teacher, student) for teacher, student in zip(targets, maps, strict=True)]

    @torch.no_grad()
    def group_maps(self, images: Tensor) -> list[Tensor]:
        """A_g, the first stage of fusion: one map [N, H / 4, W / 4] per group."""
        return _first_stage(self._distances(images, self.targets(images)), self.scale_fusion)

    def fit_quantiles(self, images: Iterator[Tensor]) -> None:
        """Fits the quantiles that bring the groups' maps to one range."""
        if not self.needs_held_out:
            return
        self.ranges.copy_(measured_ranges(self.group_maps(image) for image in images))

    def fit_places(self, images: Iterator[Tensor]) -> None:
        self.places.measure(self._smoothed_map(image) for image in images)

    def fused_map(self, images: Tensor) -> Tensor:
        """The second stage of fusion, over the groups: [N, H / 4, W / 4]."""
        scales, shifts = scales_and_shifts(self.ranges)
        return _second_stage(self.group_maps(images), scales, shifts, self.group_fusion)

    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.places(self._smoothed_map(images))
        return scores_of(maps, self.score), maps

    def _smoothed_map(self, images: Tensor) -> Tensor:
        return smoothed(resized(self.fused_map(images), images.shape[2:]), SMOOTHING)

    def deployed(self) -> Deployed:
        return DeployedMTHF(self)

    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        return nearest_multiples(size, SIZE_STEP, SMALLEST_SIZE)


class DeployedMTHF(Deployed):
    """All groups and both stages of fusion as one."""

    def __init__(self, detector: MTHF) -> None:
        super().__init__()
        detector = copy.deepcopy(detector).eval()
        self.entry = frame_entry()
        self.teacher, self.students = detector.teacher, detector.students
        self.scale_fusion, self.group_fusion = detector.scale_fusion, detector.group_fusion
        self.score, self.places = detector.score, detector.places
        self.scales, self.shifts = (values.tolist() for values in scales_and_shifts(detector.ranges))
        finest = [side // STRIDES[0] for side in detector.size]
        self.localise = resize_and_smooth(finest, detector.size, SMOOTHING)

    def input_convolutions(self) -> list[nn.Conv2d]:
        teachers = [teacher for teacher in self.teacher.values() if isinstance(teacher, MultiscaleTeacher)]
        return [self.entry, *(teacher.renormalise for teacher in teachers)]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [N] and maps [N, H, W] of images [N, 3, H, W]."""
        entered = self.entry(images)
        distances = [
            cosine_distance(target, output)
            for teacher, student in zip(self.teacher.values(), self.students.values(), strict=True)
            for target, output in zip(teacher(images), student(entered), strict=True)
        ]
        groups = _first_stage(distances, self.scale_fusion)
        maps: Tensor = self.places(self.localise(_second_stage(groups, self.scales, self.shifts, self.group_fusion)))
        return scores_of(maps, self.score), maps


def _first_stage(distances: list[Tensor], how: str) -> list[Tensor]:
    """The maps of each group's scales as one on the finest grid: their product, their sum or their weighted mean."""
    weights = area_weights(STRIDES) if how == "area" else [1.0] * len(STRIDES)
    maps = []
    for first in range(0, len(distances), len(STRIDES)):
        scales = distances[first : first + len(STRIDES)]
        same = [scales[0], *(resized(coarser, scales[0].shape[1:]) for coarser in scales[1:])]
        maps.append(prod(same[1:], start=same[0]) if how == "product" else _weighted_sum(same, weights))
    return maps


def _weighted_sum(maps: list[Tensor], weights: list[float]) -> Tensor:
    weighted = [entry if weight == 1 else weight * entry for entry, weight in zip(maps, weights, strict=True)]
    return sum(weighted[1:], start=weighted[0])


def _second_stage(groups: list[Tensor], scales: PerGroup, shifts: PerGroup, how: str) -> Tensor:
    """The groups' maps brought to one range, then fused into one."""
    scaled = [group * scale + shift for group, scale, shift in zip(groups, scales, shifts, strict=True)]
    if how == "product":
        scaled = [torch.relu(group) for group in scaled]  # Two groups that both find nothing must not find something.
    fused: Tensor = scaled[0]
    for group in scaled[1:]:
        fused = fused + group if how == "mean" else torch.maximum(fused, group) if how == "max" else fused * group
    return fused / len(scaled) if how == "mean" else fused
