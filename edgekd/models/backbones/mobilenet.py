"""MobileNetV2, whose ImageNet weights torchvision publishes.

Module names are torchvision's, so that its files load as they are.
Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (CVPR 2018), Table 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.backbones.trunk import Blocks, InvertedResidualNetwork, convolution

MOBILENETS = ("mobilenet_v2",)
BLOCKS = (
    Blocks(1, 3, 1, 1, 16),
    Blocks(2, 3, 2, 6, 24),
    Blocks(3, 3, 2, 6, 32),
    Blocks(4, 3, 2, 6, 64),
    Blocks(3, 3, 1, 6, 96),
    Blocks(3, 3, 2, 6, 160),
    Blocks(1, 3, 1, 6, 320),
)


class InvertedResidual(nn.Module):
    """Expand by a 1 x 1, filter depthwise, project by a 1 x 1; a shortcut where the shape stays."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.conv = nn.Sequential()
        if expansion > 1:
            self.conv.append(convolution(inputs, hidden, 1, activation=nn.ReLU6()))
        self.conv.append(convolution(hidden, hidden, kernel, stride, groups=hidden, activation=nn.ReLU6()))
        self.conv.extend(convolution(hidden, outputs, 1))
        self._shortcut = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self._shortcut else y


class MobileNetV2(InvertedResidualNetwork):
    """MobileNetV2 at width 1.

    Args:
        name: "mobilenet_v2" (3,504,872 parameters).
    """

    def __init__(self, name: str) -> None:
        assert name in MOBILENETS
        super().__init__(name, BLOCKS, InvertedResidual, nn.ReLU6, nested=False)
