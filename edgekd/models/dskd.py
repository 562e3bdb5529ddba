"""DSKD: dual-student knowledge distillation, forward and reverse, fused by six weights.

A forward student with the teacher's own layers and a reverse student that climbs down from its deepest map both learn
the teacher's maps of good images. What each misses the other finds; a 1 x 1 convolution over their six maps of
disagreement, trained on synthetic anomalies, fuses them into one.
Source: DSKD, Complex & Intelligent Systems; decoder blocks as RD4AD's (hq-deng/RD4AD, models/de_resnet.py).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from edgekd.errors import EdgekdError
from edgekd.models.backbones.registry import build_backbone
from edgekd.models.backbones.resnet import RESNETS
from edgekd.models.detector import Batch, Deployed, Detector, Stage, Targets
from edgekd.models.maps import Score, area_weights, cosine_distance, resized, scores_of, smoothed, smoothing
from edgekd.models.multiscale import Backbone, MultiscaleTeacher, frame_entry
from edgekd.models.sizes import nearest_multiples
from edgekd.models.standardisation import Places
from edgekd.models.teachers import pretrained_network
from edgekd.preprocessing import Size, parse_size

STRIDES = (4, 8, 16, 32)
COMPARED = 3  # The maps at strides 4, 8 and 16; the deepest is the reverse student's input.
WIDE_REPEATS, LIGHT_REPEATS = (3, 4, 6), (2, 2, 2)  # Blocks of the decoder's layers, finest last.
STUDENT_EPOCHS, FUSION_EPOCHS = 200, 10
FUSION_RATE = 0.2  # 1e-3, relative to the students' 0.005.
MANUAL_WEIGHTS = {"forward_student": 1.0, "reverse_student": 3.0}
SMOOTHING = 4.0  # Pixels.
DICE_EPSILON = 1e-6


class Gate(nn.Module):
    """The attention of the reverse student: gates Z by D and Z together.

    Args:
        channels: Channels of D.
        gated: Channels of Z.
        hidden: Channels that both are projected to.
    """

    def __init__(self, channels: int, gated: int, hidden: int) -> None:
        super().__init__()
        self.of_decoded = nn.Sequential(nn.Conv2d(channels, hidden, 1, bias=False), nn.BatchNorm2d(hidden))
        self.of_encoded = nn.Sequential(nn.Conv2d(gated, hidden, 1, bias=False), nn.BatchNorm2d(hidden))
        self.gate = nn.Sequential(nn.Conv2d(hidden, 1, 1, bias=False), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, decoded: Tensor, encoded: Tensor) -> Tensor:
        """Z' of D and Z, of the shape of Z [N, C, H, W]."""
        gated: Tensor = encoded * self.gate(torch.relu(self.of_decoded(decoded) + self.of_encoded(encoded)))
        return gated


class UpBlock(nn.Module):
    """The first block of a decoder layer: doubles the sides; its shortcut reads D alone.

    Args:
        decoded, extra: Channels of D and of the map that is concatenated to it.
        outputs: Channels of the output.
        bottleneck: Whether the block is 1 x 1, 2 x 2 transposed, 1 x 1, with half the outputs inside.
    """

    def __init__(self, decoded: int, extra: int, outputs: int, bottleneck: bool) -> None:
        super().__init__()
        inner = outputs // 2 if bottleneck else outputs
        reduced = inner if bottleneck else decoded + extra
        self.reduce = _convolution(decoded + extra, inner, 1, active=True) if bottleneck else nn.Sequential()
        self.up = nn.Sequential(nn.ConvTranspose2d(reduced, inner, 2, 2, bias=False), nn.BatchNorm2d(inner), nn.ReLU())
        self.widen = _convolution(inner, outputs, 1 if bottleneck else 3)
        self.shortcut = nn.Sequential(nn.ConvTranspose2d(decoded, outputs, 2, 2, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, decoded: Tensor, extra: Tensor) -> Tensor:
        """[N, outputs, 2 H, 2 W] of D and the extra map, both [N, C, H, W]."""
        main = self.widen(self.up(self.reduce(torch.cat([decoded, extra], dim=1))))
        return torch.relu(main + self.shortcut(decoded))


class Block(nn.Module):
    """A further block of a decoder layer.

    Args:
        channels: In and out.
        bottleneck: Whether it is 1 x 1, 3 x 3, 1 x 1 with half the channels inside, rather than two 3 x 3.
    """

    def __init__(self, channels: int, bottleneck: bool) -> None:
        super().__init__()
        inner = channels // 2 if bottleneck else channels
        reduce = [_convolution(channels, inner, 1, active=True)] if bottleneck else []
        self.main = nn.Sequential(
            *reduce, _convolution(inner, inner, 3, active=True), _convolution(inner, channels, 1 if bottleneck else 3)
        )

    def forward(self, x: Tensor) -> Tensor:
        """A map of the shape of x [N, C, H, W]."""
        return torch.relu(self.main(x) + x)


class ReverseLayer(nn.Module):
    """From D^{t+1} and the teacher's E_t to D^t.

    Args:
        width: C_t, of E_t and D^t.
        decoded: C_{t+1}, of D^{t+1}.
        repeats: Number of blocks.
        bottleneck: Whether the blocks are bottlenecks.
    """

    def __init__(self, width: int, decoded: int, repeats: int, bottleneck: bool) -> None:
        super().__init__()
        self.near = _convolution(width, width, 3, stride=2)
        self.far = _convolution(width, width, 7, stride=2)
        self.attention = Gate(decoded, 2 * width, width // 2)
        self.up = UpBlock(decoded, 2 * width, width, bottleneck)
        self.blocks = nn.Sequential(*(Block(width, bottleneck) for _ in range(repeats - 1)))

    def forward(self, decoded: Tensor, encoded: Tensor) -> Tensor:
        """D^t [N, C_t, 2 H, 2 W] of D^{t+1} [N, C_{t+1}, H, W] and E_t."""
        scales = torch.cat([self.near(encoded), self.far(encoded)], dim=1)
        up: Tensor = self.blocks(self.up(decoded, self.attention(decoded, scales)))
        return up


class ReverseStudent(nn.Module):
    """D_r: from the teacher's maps, deepest first, back to a quarter of the image.

    Args:
        widths: C_1 to C_4.
        repeats: Number of blocks of the layers 3, 2, 1.
        bottleneck: Whether the blocks are bottlenecks.
    """

    def __init__(self, widths: Sequence[int], repeats: Sequence[int], bottleneck: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            ReverseLayer(widths[t], widths[t + 1], count, bottleneck)
            for t, count in zip((2, 1, 0), repeats, strict=True)
        )

    def forward(self, targets: Targets) -> Targets:
        """D^1, D^2, D^3 of E_1 to E_4."""
        decoded, maps = targets[-1], []
        for layer, encoded in zip(self.layers, reversed(targets[:-1]), strict=True):
            decoded = layer(decoded, encoded)
            maps.append(decoded)
        return tuple(reversed(maps))


class ForwardStudent(nn.Module):
    """D_f: the teacher's own layers, freshly drawn, up to the last that is compared."""

    def __init__(self, trunk: Backbone) -> None:
        super().__init__()
        trunk.truncate(STRIDES[COMPARED - 1])
        self.trunk = trunk

    def forward(self, images: Tensor) -> Targets:
        """Its maps at strides 4, 8, 16."""
        return tuple(self.trunk.features(images, STRIDES[:COMPARED]))


class DSKD(Detector):
    """A frozen backbone, its two students and the fusion of their maps.

    Args:
        size: The image's height and width, in pixels, or the side of a square.
        backbone: The teacher's: "wide_resnet50_2" as in the paper, or a lighter one for the edge.
        students: "both", or "forward" or "reverse" alone (ablation).
        fusion: "learned"; "manual" for 1 to 3 between forward and reverse (ablation); or "area" for both alike and each
            scale weighed by the area that one of its places stands for.
        score: What an image's score takes from its map: "max", or "top_percent" for the mean of the highest hundredth.
        standardise: Bring all places of the map to mean 0 and deviation 1 over the good images.
        flatten: Compare whole maps by one cosine, as RD4AD's code does, rather than position by position; the paper's
            equation leaves it open.
    """

    teacher: MultiscaleTeacher
    min_batch = 2  # At 32 pixels the deepest map is one number per channel, which batch norms cannot learn from alone.

    def __init__(
        self,
        size: int | Size = 256,
        backbone: str = "wide_resnet50_2",
        students: Literal["both", "forward", "reverse"] = "both",
        fusion: Literal["learned", "manual", "area"] = "learned",
        flatten: bool = False,
        score: Score = "max",
        standardise: bool = False,
    ) -> None:
        super().__init__()
        if students not in ("both", "forward", "reverse") or fusion not in ("learned", "manual", "area"):
            raise EdgekdError("dskd takes students=both, forward or reverse, and fusion=learned, manual or area")
        wide = backbone in RESNETS and RESNETS[backbone].bottleneck
        self.teacher = MultiscaleTeacher(build_backbone(backbone), STRIDES)
        self.students = nn.ModuleDict()
        if students != "reverse":
            self.students["forward_student"] = ForwardStudent(build_backbone(backbone))
        if students != "forward":
            repeats = WIDE_REPEATS if wide else LIGHT_REPEATS
            self.students["reverse_student"] = ReverseStudent(self.teacher.widths, repeats, wide)
        self.fusion = nn.Conv2d(COMPARED * len(self.students), 1, 1, bias=False)
        self.learns_fusion, self.flatten = fusion == "learned", flatten
        self.size, self.backbone_name, self.score = parse_size(size), backbone, score
        self.places = Places(standardise)
        self._draw_fusion(fusion)

    @torch.no_grad()
    def _draw_fusion(self, fusion: str) -> None:
        """Positive weights of sum 1, so that the ReLU after them is active."""
        scales = area_weights(STRIDES[:COMPARED]) if fusion == "area" else [1.0] * COMPARED
        shares = [MANUAL_WEIGHTS[name] if fusion == "manual" else 1.0 for name in self.students]
        weights = torch.tensor([share * scale for share in shares for scale in scales])
        self.fusion.weight.copy_((weights / weights.sum()).view(1, -1, 1, 1))

    def pretrained(self) -> dict[str, nn.Module]:
        return {self.backbone_name: pretrained_network(self.teacher)}

    def trainable(self) -> nn.Module:
        return nn.ModuleList([self.students, self.fusion])

    def parts(self) -> dict[str, nn.Module]:
        students = {name.replace("_", " "): student for name, student in self.students.items()}
        return {"teacher": self.teacher, **students, "fusion": self.fusion}

    def stages(self) -> tuple[Stage, ...]:
        distillation = Stage("students", self.students, self.training_loss, STUDENT_EPOCHS)
        if not self.learns_fusion:
            return (distillation,)
        fusion = Stage(
            "fusion",
            self.fusion,
            self.fusion_loss,
            FUSION_EPOCHS,
            ((self.fusion, FUSION_RATE),),
            needs_targets=False,
            synthetic=True,
        )
        return distillation, fusion

    @torch.no_grad()
    def targets(self, images: Tensor) -> Targets:
        """E_1 to E_4."""
        return tuple(self.teacher(images))

    def training_loss(self, batch: Batch) -> Tensor:
        """One less the cosine, the mean over positions, summed over the maps of both students (eq. 1).

        The students share nothing, so one sum trains each on its own.
        """
        targets = self.targets(batch.images) if batch.targets is None else batch.targets
        losses = [
            _distance(teacher, student, self.flatten)
            for maps in self._outputs(batch.images, targets)
            for teacher, student in zip(targets[:COMPARED], maps, strict=True)
        ]
        return torch.stack(losses).sum()

    def fusion_loss(self, batch: Batch) -> Tensor:
        """The Dice loss between the fused map and the masks of synthetic anomalies."""
        assert batch.corrupted is not None
        assert batch.masks is not None
        return self.dice_loss(self.scale_maps(batch.corrupted), batch.masks)

    def dice_loss(self, maps: Tensor, masks: Tensor) -> Tensor:
        """The Dice loss between the fusion of maps [N, 6, H, W] and masks [N, H, W]."""
        fused = _fused(self.fusion, maps)
        overlap = (fused * masks).sum()
        loss: Tensor = 1 - 2 * overlap / (fused.square().sum() + masks.square().sum() + DICE_EPSILON)
        return loss

    @torch.no_grad()
    def scale_maps(self, images: Tensor) -> Tensor:
        """Where students and teacher disagree, at the image's size: [N, 6, H, W]."""
        targets = self.targets(images)
        return _scale_maps(targets, self._outputs(images, targets), images.shape[2:])

    def _outputs(self, images: Tensor, targets: Targets) -> list[Targets]:
        return [
            student(images) if name == "forward_student" else student(targets)
            for name, student in self.students.items()
        ]

    @torch.no_grad()
    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        maps = self.places(self._fused_map(images))
        return scores_of(maps, self.score), maps

    def fit_places(self, images: Iterator[Tensor]) -> None:
        self.places.measure(self._fused_map(image) for image in images)

    def _fused_map(self, images: Tensor) -> Tensor:
        return smoothed(_fused(self.fusion, self.scale_maps(images)), SMOOTHING)

    def deployed(self) -> Deployed:
        return DeployedDSKD(self)

    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        return nearest_multiples(size, STRIDES[-1], STRIDES[-1])


class DeployedDSKD(Deployed):
    """Teacher, students and fusion as one.

    The fusion weighs the maps of both students on their own grid, before they are resized: the two commute.
    """

    weights: Tensor

    def __init__(self, detector: DSKD) -> None:
        super().__init__()
        detector = copy.deepcopy(detector).eval()
        self.entry = frame_entry()
        self.teacher: MultiscaleTeacher = detector.teacher
        self.students, self.score, self.places = detector.students, detector.score, detector.places
        self.register_buffer("weights", detector.fusion.weight.detach().view(-1, COMPARED))
        self.smooth = smoothing(detector.size, SMOOTHING)

    def input_convolutions(self) -> list[nn.Conv2d]:
        return [self.entry, self.teacher.renormalise]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [N] and maps [N, H, W] of images [N, 3, H, W]."""
        targets = self.teacher(images)
        outputs = [
            student(self.entry(images)) if name == "forward_student" else student(targets)
            for name, student in self.students.items()
        ]
        scales = [
            resized(self._weighted(scale, target, outputs), images.shape[2:])
            for scale, target in enumerate(targets[:COMPARED])
        ]
        maps: Tensor = self.places(self.smooth(torch.sigmoid(torch.relu(sum(scales[1:], start=scales[0])))))
        return scores_of(maps, self.score), maps

    def _weighted(self, scale: int, target: Tensor, outputs: list[Targets]) -> Tensor:
        """What the fusion takes from one scale: [N, h, w]."""
        weighted = [
            weight * cosine_distance(target, maps[scale])
            for weight, maps in zip(self.weights[:, scale], outputs, strict=True)
        ]
        one: Tensor = sum(weighted[1:], start=weighted[0])
        return one


def _scale_maps(targets: Targets, outputs: list[Targets], size: Sequence[int]) -> Tensor:
    distances = [
        cosine_distance(teacher, student)
        for maps in outputs
        for teacher, student in zip(targets[:COMPARED], maps, strict=True)
    ]
    return torch.stack([resized(distance, size) for distance in distances], dim=1)


def _fused(fusion: nn.Module, maps: Tensor) -> Tensor:
    """Six maps made one by 1 x 1 convolution, ReLU and sigmoid, so that it is 0.5 where nothing is anomalous."""
    fused: Tensor = torch.sigmoid(torch.relu(fusion(maps).float()))  # Between 0.5 and 1 bfloat16 has 128 values.
    return fused.squeeze(1)


def _distance(teacher: Tensor, student: Tensor, flatten: bool) -> Tensor:
    if flatten:
        teacher, student = (x.flatten(1)[..., None, None] for x in (teacher, student))
    return cosine_distance(teacher, student).mean()


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, active: bool = False) -> nn.Sequential:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), *([nn.ReLU()] if active else []))
