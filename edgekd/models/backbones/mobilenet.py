"""MobileNetV2, whose ImageNet weights torchvision publishes.

Module names are torchvision's, so that its files load as they are.
Source: Sandler et al., MobileNetV2: Inverted Residuals and Linear Bottlenecks (CVPR 2018), Table 2.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.backbones.efficientnet_lite import Blocks
from edgekd.models.normalisation import MEAN, STD

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
STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
DROPOUT = 0.2


class Trunk(nn.ModuleList):
    """Layers that run one after the other; called, it gives the maps of some strides.

    torchvision's files name these layers `features`, which is also what a backbone's caller calls: this is both.

    Args:
        layers: Of the trunk, and behind them those that only the classifier needs.
        last_of_stride: The index of each stride's last layer.
    """

    def __init__(self, layers: list[nn.Module], last_of_stride: dict[int, int]) -> None:
        super().__init__(layers)
        self.last_of_stride = last_of_stride

    def forward(self, images: Tensor, strides: tuple[int, ...]) -> list[Tensor]:
        """The last map of each stride asked for; nothing behind the deepest one is computed.

        Args:
            images: RGB [N, 3, H, W], (value / 255 - mean) / std of 0..255.
            strides: ascending, out of 2, 4, 8, 16, 32.

        Returns:
            One map [N, C, H / stride, W / stride] a stride.
        """
        wanted = {self.last_of_stride[stride] for stride in strides}
        maps = []
        x = images
        for index in range(max(wanted) + 1):
            x = self[index](x)
            if index in wanted:
                maps.append(x)
        return maps

    def truncate(self, stride: int) -> None:
        """Drops the layers behind a stride's last map."""
        del self[self.last_of_stride[stride] + 1 :]


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


class MobileNetV2(nn.Module):
    """A classifier whose maps at strides 4, 8, 16 and 32 serve as features.

    Args:
        name: "mobilenet_v2" (3,504,872 parameters).
    """

    input_mean = (255 * MEAN[0], 255 * MEAN[1], 255 * MEAN[2])
    input_std = (255 * STD[0], 255 * STD[1], 255 * STD[2])

    def __init__(self, name: str) -> None:
        super().__init__()
        assert name in MOBILENETS
        self.name = name
        layers: list[nn.Module] = [convolution(3, STEM_CHANNELS, 3, 2, activation=nn.ReLU6())]
        last_of_stride = {}
        inputs, stride = STEM_CHANNELS, 2
        for run in BLOCKS:
            stride *= run.stride
            for repeat in range(run.repeats):
                block_stride = run.stride if repeat == 0 else 1
                layers.append(InvertedResidual(inputs, run.outputs, run.kernel, block_stride, run.expansion))
                inputs = run.outputs
            last_of_stride[stride] = len(layers) - 1
        layers.append(convolution(inputs, HEAD_CHANNELS, 1, activation=nn.ReLU6()))
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


def convolution(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, activation: nn.Module | None = None
) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, its batch norm, and what comes after."""
    layers = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )
    return layers if activation is None else layers.append(activation)
