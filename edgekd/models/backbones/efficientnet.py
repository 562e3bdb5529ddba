"""EfficientNet-B0, whose ImageNet weights torchvision publishes.

Module names are torchvision's, so that its files load as they are.
Source: Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks (ICML 2019), Table 1.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.models.backbones.efficientnet_lite import BASE
from edgekd.models.backbones.mobilenet import Trunk, convolution
from edgekd.models.normalisation import MEAN, STD

EFFICIENTNETS = ("efficientnet_b0",)
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
SQUEEZE = 4
DROPOUT = 0.2


class SqueezeExcitation(nn.Module):
    """Scales each channel by a gate that sees the means of all.

    Args:
        channels: Of the map.
        squeezed: Of the layer between means and gates.
    """

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = x.mean((2, 3), keepdim=True)
        return x * torch.sigmoid(self.fc2(nn.functional.silu(self.fc1(means))))


class InvertedResidual(nn.Module):
    """Expand by a 1 x 1, filter depthwise, gate, project by a 1 x 1; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.block = nn.Sequential()
        if expansion > 1:
            self.block.append(convolution(inputs, hidden, 1, activation=nn.SiLU()))
        self.block.append(convolution(hidden, hidden, kernel, stride, groups=hidden, activation=nn.SiLU()))
        self.block.append(SqueezeExcitation(hidden, inputs // SQUEEZE))
        self.block.append(convolution(hidden, outputs, 1))
        self._shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        # No stochastic depth, which has no weights: trunks here are frozen, or trained from scratch without it.
        return x + y if self._shortcut else y


class EfficientNetB0(nn.Module):
    """A classifier whose maps at strides 4, 8, 16 and 32 serve as features.

    Args:
        name: "efficientnet_b0" (5,288,548 parameters).
    """

    input_mean = (255 * MEAN[0], 255 * MEAN[1], 255 * MEAN[2])
    input_std = (255 * STD[0], 255 * STD[1], 255 * STD[2])

    def __init__(self, name: str) -> None:
        super().__init__()
        assert name in EFFICIENTNETS
        self.name = name
        layers: list[nn.Module] = [convolution(3, STEM_CHANNELS, 3, 2, activation=nn.SiLU())]
        last_of_stride = {}
        inputs, stride = STEM_CHANNELS, 2
        for run in BASE:
            stride *= run.stride
            stage = nn.Sequential()
            for repeat in range(run.repeats):
                block_stride = run.stride if repeat == 0 else 1
                stage.append(InvertedResidual(inputs, run.outputs, run.kernel, block_stride, run.expansion))
                inputs = run.outputs
            layers.append(stage)
            last_of_stride[stride] = len(layers) - 1
        layers.append(convolution(inputs, HEAD_CHANNELS, 1, activation=nn.SiLU()))
        self.features = Trunk(layers, last_of_stride)
        self.classifier = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(HEAD_CHANNELS, CLASSES))

    def truncate(self, stride: int) -> None:
        """Drops the blocks behind a stride's last map, and the classifier; `features` is what remains."""
        self.features.truncate(stride)
        if hasattr(self, "classifier"):
            del self.classifier

    def forward(self, images: Tensor) -> Tensor:
        """Class logits [N, 1000] of images [N, 3, H, W]."""
        (x,) = self.features(images, (32,))
        logits: Tensor = self.classifier(self.features[-1](x).mean((2, 3)))
        return logits
