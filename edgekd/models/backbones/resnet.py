"""ResNets whose ImageNet weights torchvision publishes: ResNet18, Wide ResNet-50-2 and Wide ResNet-101-2.

Module names are torchvision's, so that its files load as they are.
Source: He et al., Deep Residual Learning (CVPR 2016); Zagoruyko and Komodakis, Wide Residual Networks (BMVC 2016).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from edgekd.models.normalisation import MEAN, STD

CLASSES = 1000
STEM_CHANNELS = 64
STAGE_PLANES = (64, 128, 256, 512)
STAGE_STRIDES = (4, 8, 16, 32)


class Architecture(NamedTuple):
    """One ResNet.

    Attributes:
        repeats: Blocks of each of the four stages.
        bottleneck: Whether a block is 1 x 1, 3 x 3, 1 x 1, rather than two 3 x 3.
        width: Of a bottleneck's inner channels, as a multiple of the stage's planes.
    """

    repeats: tuple[int, int, int, int]
    bottleneck: bool
    width: int = 1


RESNETS = {
    "resnet18": Architecture((2, 2, 2, 2), bottleneck=False),
    "wide_resnet50_2": Architecture((3, 4, 6, 3), bottleneck=True, width=2),
    "wide_resnet101_2": Architecture((3, 4, 23, 3), bottleneck=True, width=2),
}


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut."""

    expansion = 1

    def __init__(self, inputs: int, planes: int, width: int, stride: int) -> None:
        super().__init__()
        assert width == 1, "only bottlenecks are widened"
        self.conv1 = _convolution(inputs, planes, 3, stride)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = _convolution(planes, planes, 3)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = _shortcut(inputs, planes, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Bottleneck(nn.Module):
    """A 1 x 1, a 3 x 3 that carries the stride, a 1 x 1, and a shortcut."""

    expansion = 4

    def __init__(self, inputs: int, planes: int, width: int, stride: int) -> None:
        super().__init__()
        inner, outputs = planes * width, planes * self.expansion
        self.conv1 = _convolution(inputs, inner, 1)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = _convolution(inner, inner, 3, stride)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = _convolution(inner, outputs, 1)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = _shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.bn1(self.conv1(x)))
        y = torch.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """A classifier whose maps at strides 4, 8, 16 and 32 serve as features.

    Args:
        name: "resnet18" (11,689,512 parameters), "wide_resnet50_2" (68,883,240) or "wide_resnet101_2" (126,886,696).
    """

    input_mean = (255 * MEAN[0], 255 * MEAN[1], 255 * MEAN[2])
    input_std = (255 * STD[0], 255 * STD[1], 255 * STD[2])

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        repeats, bottleneck, width = RESNETS[name]
        block = Bottleneck if bottleneck else BasicBlock
        self.conv1 = _convolution(3, STEM_CHANNELS, 7, 2)
        self.bn1 = nn.BatchNorm2d(STEM_CHANNELS)
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        inputs = STEM_CHANNELS
        for number, (count, planes) in enumerate(zip(repeats, STAGE_PLANES, strict=True), start=1):
            blocks = nn.Sequential()
            for index in range(count):
                blocks.append(block(inputs, planes, width, stride=2 if index == 0 and number > 1 else 1))
                inputs = planes * block.expansion
            setattr(self, f"layer{number}", blocks)
        self.fc = nn.Linear(inputs, CLASSES)

    def features(self, images: Tensor, strides: tuple[int, ...]) -> list[Tensor]:
        """The last map of each requested stride; nothing after the deepest one is computed.

        Args:
            images: RGB [N, 3, H, W], (value / 255 - mean) / std of 0..255.
            strides: Ascending, out of 4, 8, 16, 32.

        Returns:
            One map [N, C, H / stride, W / stride] per stride.
        """
        maps = []
        x = self.maxpool(torch.relu(self.bn1(self.conv1(images))))
        for number, stride in enumerate(STAGE_STRIDES, start=1):
            if stride > strides[-1]:
                break
            x = getattr(self, f"layer{number}")(x)
            if stride in strides:
                maps.append(x)
        return maps

    def truncate(self, stride: int) -> None:
        """Drops the stages after a stride's map, and the classifier; `features` is what remains."""
        behind = [f"layer{number}" for number, own in enumerate(STAGE_STRIDES, start=1) if own > stride]
        for name in (*behind, "fc"):
            if hasattr(self, name):
                delattr(self, name)

    def forward(self, images: Tensor) -> Tensor:
        """Class logits [N, 1000] of images [N, 3, H, W]."""
        (x,) = self.features(images, (32,))
        logits: Tensor = self.fc(x.mean((2, 3)))
        return logits


def _convolution(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(_convolution(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))
