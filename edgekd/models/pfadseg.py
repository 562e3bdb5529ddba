"""PFADSeg: a denoising student, and a segmentation network on the products of teacher and student.

The student sees images with synthetic anomalies and learns the teacher's maps of the clean ones. Then both are
frozen, both see anomalies, and a segmentation network learns to find them in the products of their features.
Source: PFADSeg, on the baseline DeSTSeg (apple/ml-destseg: destseg.py, losses.py, train.py, eval.py).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.models.attention import AFF, PCAR, RCM, PooledBatchNorm
from edgekd.models.detector import Batch, Deployed, Detector, Stage, Targets
from edgekd.models.maps import normalised, resized
from edgekd.models.multiscale import MultiscaleTeacher, frame_entry
from edgekd.models.sizes import nearest_multiples
from edgekd.models.teachers import build_multiscale_teacher, pretrained_network

STRIDES = (4, 8, 16)
ENCODER_WIDTHS = (64, 128, 256, 512)
SEGMENTATION_WIDTH = 256
SIZE_STEP = 64  # At stride 32 a map must still have even sides for SPR's quarters.
STUDENT_ITERATIONS, SEGMENTATION_ITERATIONS = 3000, 4000
# Relative to the student's 0.5: the residual blocks of the segmentation network 0.1, its head 0.01.
BLOCK_RATE, HEAD_RATE = 0.2, 0.02
SCORED_PIXELS = 100
FOCUS = 4  # The exponent of the focal loss; the paper leaves it open, this is the released DeSTSeg's.


class PAResidual(nn.Module):
    """A residual block with PCAR for its second convolution and AFF for its sum (Fig. 3).

    Args:
        inputs, outputs: Channels.
        stride: Of the first convolution.
        pcar: Off for one 3 x 3 convolution in its place (ablation).
        aff: Off for a plain sum in its place (ablation).
        shared_gate: Of PCAR.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, pcar: bool, aff: bool, shared_gate: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs))
        second = PCAR(outputs, shared_gate) if pcar else nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.second = nn.Sequential(second, nn.BatchNorm2d(outputs))
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut.append(nn.Conv2d(inputs, outputs, 1, stride, bias=False)).append(nn.BatchNorm2d(outputs))
        self.fusion = AFF(outputs) if aff else None

    def forward(self, x: Tensor) -> Tensor:
        """[N, outputs, H / stride, W / stride] of [N, inputs, H, W]."""
        main, shortcut = self.second(torch.relu(self.first(x))), self.shortcut(x)
        fused: Tensor = torch.relu(main + shortcut if self.fusion is None else self.fusion(main, shortcut))
        return fused


Block = Callable[[int, int, int], nn.Module]  # Inputs, outputs, stride.


class DenoisingStudent(nn.Module):
    """A ResNet18 of PA_Residual blocks and a decoder of the same that climbs back to a quarter of the image.

    Args:
        widths: Channels of the teacher's maps, which the last three decoder stages follow.
        block: Makes a residual block.
    """

    def __init__(self, widths: Sequence[int], block: Block) -> None:
        super().__init__()
        stem = ENCODER_WIDTHS[0]
        self.stem = nn.Sequential(
            nn.Conv2d(3, stem, 7, 2, 3, bias=False), nn.BatchNorm2d(stem), nn.ReLU(), nn.MaxPool2d(3, 2, padding=1)
        )
        encoder, inputs = [], stem
        for stage, width in enumerate(ENCODER_WIDTHS):
            encoder += [block(inputs, width, 1 if stage == 0 else 2), block(width, width, 1)]
            inputs = width
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.ModuleList()
        for width in (inputs, *reversed(widths)):
            self.decoder.append(nn.Sequential(block(inputs, width, 1), block(width, width, 1)))
            inputs = width

    def forward(self, images: Tensor) -> Targets:
        """D1, D2, D3 of images [N, 3, H, W], of the shapes of the teacher's maps at strides 4, 8, 16."""
        x = self.encoder(self.stem(images))
        maps: list[Tensor] = []
        for index, stage in enumerate(self.decoder):
            x = stage(_doubled(x) if index else x)
            maps.insert(0, x)
        return tuple(maps[:-1])


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling, which DeSTSeg has in place of RCM; for the ablation.

    Source: Chen et al., DeepLabv3; apple/ml-destseg, model_utils.py.
    """

    RATES = (6, 12, 18)

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_convolution(channels, channels, 1, norm=PooledBatchNorm))
        self.branches = nn.ModuleList(_convolution(channels, channels, 3, dilation=rate) for rate in self.RATES)
        self.mix = _convolution((1 + len(self.RATES)) * channels, channels, 3)

    def forward(self, x: Tensor) -> Tensor:
        """A map of the shape of x [N, C, H, W]."""
        mixed: Tensor = self.mix(torch.cat([self.pool(x).expand_as(x), *(branch(x) for branch in self.branches)], 1))
        return mixed


class SegmentationNetwork(nn.Module):
    """From the products of normalised features to the probability of an anomaly at each position.

    Args:
        widths: Channels of the products.
        block: Makes a residual block.
        rcm: Off for ASPP in its place (ablation).
    """

    def __init__(self, widths: Sequence[int], block: Block, rcm: bool) -> None:
        super().__init__()
        width = SEGMENTATION_WIDTH
        self.blocks = nn.Sequential(block(sum(widths), width, 1), block(width, width, 1))
        context = RCM(width) if rcm else ASPP(width)
        self.head = nn.Sequential(context, *_convolution(width, width, 3), nn.Conv2d(width, 1, 1))

    def forward(self, products: Targets) -> Tensor:
        """[N, H / 4, W / 4], 0 to 1, of the products at strides 4, 8, 16."""
        finest = products[0].shape[2:]
        same = [functional.interpolate(x, finest, mode="bilinear", align_corners=False) for x in products[1:]]
        logits: Tensor = self.head(self.blocks(torch.cat([products[0], *same], dim=1)))
        return torch.sigmoid(logits.float()).squeeze(1)  # In bfloat16 it would be 1 from 6.2 on, without a gradient.


class PFADSeg(Detector):
    """A frozen backbone, a denoising student and a segmentation network.

    The released DeSTSeg also rotates images of some categories in training; here none are rotated.

    Args:
        backbone: The teacher's: "resnet18" as in the paper, or another; the decoder's widths follow it.
        pcar, aff, rcm: Off for the ablations of Table 4.
        shared_gate: One SPR for the three branches of a PCAR, as in the code that the paper cites.
    """

    teacher: MultiscaleTeacher
    min_batch = 2  # AFF's global branch has single numbers per channel, and one has no variance.

    def __init__(
        self,
        backbone: str = "resnet18",
        pcar: bool = True,
        aff: bool = True,
        rcm: bool = True,
        shared_gate: bool = True,
    ) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, stride: int) -> nn.Module:
            return PAResidual(inputs, outputs, stride, pcar, aff, shared_gate)

        self.teacher = build_multiscale_teacher(backbone, STRIDES)
        self.student = DenoisingStudent(self.teacher.widths, block)
        self.segmentation = SegmentationNetwork(self.teacher.widths, block, rcm)
        self.backbone_name = backbone

    def pretrained(self) -> dict[str, nn.Module]:
        return {self.backbone_name: pretrained_network(self.teacher)}

    def trainable(self) -> nn.Module:
        return nn.ModuleList([self.student, self.segmentation])

    def parts(self) -> dict[str, nn.Module]:
        return {"teacher": self.teacher, "student": self.student, "segmentation network": self.segmentation}

    def stages(self) -> tuple[Stage, ...]:
        rates = ((self.segmentation.blocks, BLOCK_RATE), (self.segmentation.head, HEAD_RATE))
        return (
            Stage("student", self.student, self.training_loss, STUDENT_ITERATIONS, synthetic=True),
            Stage(
                "segmentation",
                self.segmentation,
                self.segmentation_loss,
                SEGMENTATION_ITERATIONS,
                rates,
                needs_targets=False,
                synthetic=True,
            ),
        )

    @torch.no_grad()
    def targets(self, images: Tensor) -> Targets:
        """The teacher's maps at strides 4, 8, 16."""
        return tuple(self.teacher(images))

    def training_loss(self, batch: Batch) -> Tensor:
        """One less the cosine between the teacher's maps of clean images and the student's of corrupted ones.

        The mean over positions, summed over maps and images: the learning rate is tuned to the sum.
        """
        assert batch.corrupted is not None
        targets = self.targets(batch.images) if batch.targets is None else batch.targets
        products = _products(targets, self.student(batch.corrupted))
        losses = [(1 - product.sum(1)).mean((1, 2)).sum() for product in products]
        return torch.stack(losses).sum()

    def segmentation_loss(self, batch: Batch) -> Tensor:
        """Focal loss and L1 between the prediction and the masks of synthetic anomalies, at a quarter of the size."""
        assert batch.masks is not None
        assert batch.corrupted is not None
        predicted = self.segmentation(self.products(batch.corrupted))
        mask = (resized(batch.masks, predicted.shape[1:]) >= 0.5).to(predicted)
        right = (mask * predicted + (1 - mask) * (1 - predicted)).clamp_min(1e-7)
        focal = -((1 - right) ** FOCUS * right.log()).mean()
        loss: Tensor = focal + (mask - predicted).abs().mean()
        return loss

    @torch.no_grad()
    def products(self, images: Tensor) -> Targets:
        """The products of the normalised features of teacher and student at strides 4, 8, 16."""
        return _products(self.targets(images), self.student(images))

    @torch.no_grad()
    def predict(self, images: Tensor) -> tuple[Tensor, Tensor]:
        products = self.products(images)
        maps = resized(self.segmentation(products), images.shape[2:])
        return _score(maps), maps

    def deployed(self) -> Deployed:
        return DeployedPFADSeg(self)

    def legal_sizes_near(self, size: int) -> tuple[int, ...]:
        return nearest_multiples(size, SIZE_STEP, SIZE_STEP)


class DeployedPFADSeg(Deployed):
    """The three networks as one."""

    def __init__(self, detector: PFADSeg) -> None:
        super().__init__()
        detector = copy.deepcopy(detector).eval()
        self.entry = frame_entry()
        self.teacher: MultiscaleTeacher = detector.teacher
        self.student, self.segmentation = detector.student, detector.segmentation

    def input_convolutions(self) -> list[nn.Conv2d]:
        return [self.entry, self.teacher.renormalise]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [N], the mean of the 100 largest pixels, and maps [N, H, W] of images [N, 3, H, W]."""
        products = _products(self.teacher(images), self.student(self.entry(images)))
        maps = resized(self.segmentation(products), images.shape[2:])
        return _score(maps), maps


def _score(maps: Tensor) -> Tensor:
    """The mean of the 100 largest pixels of each map."""
    largest: Tensor = maps.flatten(1).topk(SCORED_PIXELS).values
    return largest.mean(1)


def _products(teacher: Targets, student: Targets) -> Targets:
    """X_i, the products of both networks' normalised features (eq. 2)."""
    return tuple(normalised(t) * normalised(s) for t, s in zip(teacher, student, strict=True))


def _convolution(
    inputs: int, outputs: int, kernel: int, dilation: int = 1, norm: type[nn.BatchNorm2d] = nn.BatchNorm2d
) -> nn.Sequential:
    padding = kernel // 2 * dilation
    convolution = nn.Conv2d(inputs, outputs, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(convolution, norm(outputs), nn.ReLU())


def _doubled(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
