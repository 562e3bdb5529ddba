"""What MobileNetV2 and EfficientNet share: a trunk of inverted residual blocks, and the classifier on top of it.

Module names are torchvision's, so that its files load as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from edgekd.models.normalisation import MEAN, STD

STEM_CHANNELS, HEAD_CHANNELS, CLASSES = 32, 1280, 1000
DROPOUT = 0.2


class Blocks(NamedTuple):
    """A run of inverted residual blocks of one width.

    Attributes:
        repeats: Number of blocks.
        kernel: Side of the depthwise kernels.
        stride: Of the first block; the others have 1.
        expansion: Channels inside a block, as a multiple of its inputs.
        outputs: Channels of each block's output.
    """

    repeats: int
    kernel: int
    stride: int
    expansion: int
    outputs: int


class Trunk(nn.ModuleList):
    """Layers that run one after the other; calling it returns the maps of some strides.

    torchvision's files name these layers `features`, which is also the method that a backbone's caller uses: this is
    both.

    Args:
        layers: Of the trunk, followed by those that only the classifier needs.
        last_of_stride: The index of each stride's last layer.
    """

    def __init__(self, layers: list[nn.Module], last_of_stride: dict[int, int]) -> None:
        super().__init__(layers)
        self.last_of_stride = last_of_stride

    def forward(self, images: Tensor, strides: tuple[int, ...]) -> list[Tensor]:
        """The last map of each requested stride; nothing after the deepest one is computed.

        Args:
            images: RGB [N, 3, H, W], (value / 255 - mean) / std of 0..255.
            strides: Ascending, out of 2, 4, 8, 16, 32.

        Returns:
            One map [N, C, H / stride, W / stride] per stride.
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
        """Drops the layers after a stride's last map."""
        del self[self.last_of_stride[stride] + 1 :]


class InvertedResidualNetwork(nn.Module):
    """A classifier made of inverted residual blocks, whose maps at strides 4, 8, 16 and 32 serve as features.

    Args:
        name: On the command line.
        runs: The blocks, from the image on.
        block: Makes a block from its inputs, outputs, kernel, stride and expansion.
        activation: Of the stem and of the head.
        nested: Whether each run is one layer of `features`, or each block.
    """

    input_mean = (255 * MEAN[0], 255 * MEAN[1], 255 * MEAN[2])
    input_std = (255 * STD[0], 255 * STD[1], 255 * STD[2])

    def __init__(
        self,
        name: str,
        runs: Sequence[Blocks],
        block: Callable[[int, int, int, int, int], nn.Module],
        activation: type[nn.Module],
        nested: bool,
    ) -> None:
        super().__init__()
        self.name = name
        layers: list[nn.Module] = [convolution(3, STEM_CHANNELS, 3, 2, activation=activation())]
        last_of_stride = {}
        inputs, stride = STEM_CHANNELS, 2
        for run in runs:
            stride *= run.stride
            blocks = []
            for repeat in range(run.repeats):
                block_stride = run.stride if repeat == 0 else 1
                blocks.append(block(inputs, run.outputs, run.kernel, block_stride, run.expansion))
                inputs = run.outputs
            layers += [nn.Sequential(*blocks)] if nested else blocks
            last_of_stride[stride] = len(layers) - 1
        layers.append(convolution(inputs, HEAD_CHANNELS, 1, activation=activation()))
        self.features = Trunk(layers, last_of_stride)
        self.classifier = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(HEAD_CHANNELS, CLASSES))

    def truncate(self, stride: int) -> None:
        """Drops the blocks after a stride's last map, and the classifier; `features` is what remains."""
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
    """A convolution that keeps the size but for its stride, its batch norm, and its activation if there is one."""
    layers = nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    )
    return layers if activation is None else layers.append(activation)
