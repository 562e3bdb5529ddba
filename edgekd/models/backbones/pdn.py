"""Patch description networks: the teachers of HKT, HKT+ and MHKD, and the trunk of the HKT students.

A PDN describes every 33 x 33 patch of an image by 384 numbers, one patch every 4 pixels.
Source: Batzner et al., EfficientAD (WACV 2024), Tables 4 and 5; widths as HKT and HKT+ use them.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn import functional

from edgekd.errors import unknown_name
from edgekd.models.normalisation import MEAN, STD
from edgekd.models.sizes import nearest_multiples

RECEPTIVE_FIELD = 33
STRIDE = 4
FEATURES = 384
BORDER = 4  # Positions that an unpadded PDN lacks on each side of a grid over the whole image.


class PDNLayer(NamedTuple):
    """One convolution of a PDN, and whether a pool follows it."""

    inputs: int
    outputs: int
    kernel: int
    pool: bool = False


PDN_LAYERS: dict[str, tuple[PDNLayer, ...]] = {
    "pdn_small": (
        PDNLayer(3, 128, 4, pool=True),
        PDNLayer(128, 256, 4, pool=True),
        PDNLayer(256, 256, 3),
        PDNLayer(256, FEATURES, 4),
    ),
    "pdn_medium": (
        PDNLayer(3, 256, 4, pool=True),
        PDNLayer(256, 512, 4, pool=True),
        PDNLayer(512, 512, 1),
        PDNLayer(512, 512, 3),
        PDNLayer(512, FEATURES, 4),
        PDNLayer(FEATURES, FEATURES, 1),
    ),
}


def pdn(name: str, padded: bool = False) -> nn.Sequential:
    """Builds a PDN with freshly drawn weights.

    The modules stand in the order of the public EfficientAD files, so their state dicts load as they are, padded or
    not.

    Args:
        name: "pdn_small" (2,694,144 parameters) or "pdn_medium" (8,026,624).
        padded: Whether the grid covers the whole image, as in MHKD; the pools count their padding.

    Returns:
        A network from images [N, 3, H, W] to features [N, 384, H / 4 - 8, W / 4 - 8], H and W multiples of 4; padded,
        to [N, 384, H / 4, W / 4].

    Raises:
        EdgekdError: There is none of that name; the error names the nearest.
    """
    if name not in PDN_LAYERS:
        raise unknown_name("network of a teacher", name, PDN_LAYERS)
    shapes = PDN_LAYERS[name]
    modules: list[nn.Module] = []
    for shape in shapes:
        padding = padding_of(shape) if padded else 0
        modules.append(nn.Conv2d(shape.inputs, shape.outputs, shape.kernel, padding=padding))
        if shape is not shapes[-1]:
            modules.append(nn.ReLU())
        if shape.pool:
            modules.append(nn.AvgPool2d(2, 2, padding=1 if padded else 0))
    return nn.Sequential(*modules)


def padding_of(layer: PDNLayer) -> int:
    """MHKD's padding (Xmh-L/MHKD4AD, MHKD.py): 3 for the pooled convolutions, 1 for a 3 x 3, else 0."""
    return 3 if layer.pool else layer.kernel // 2 if layer.kernel == 3 else 0


class PDNTrunk(nn.Module):
    """A padded PDN whose maps serve as features at strides 4, 8 and 16, deeper ones for coarser strides.

    A PDN has one stride, so its coarser maps are averages of it.

    Args:
        name: "pdn_small" or "pdn_medium".
    """

    input_mean = (255 * MEAN[0], 255 * MEAN[1], 255 * MEAN[2])
    input_std = (255 * STD[0], 255 * STD[1], 255 * STD[2])

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.network = pdn(name, padded=True)
        layers = list(self.network)
        pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.AvgPool2d)]
        unpadded = [index for index, layer in enumerate(layers) if getattr(layer, "kernel_size", 0) == (4, 4)][-1]
        # Behind the second pool, before the last kernel of 4, which takes 3 cells off the grid, and the last map.
        self.ends = {4: pools[1], 8: unpadded - 1, 16: len(layers) - 1}
        self.averages = nn.ModuleDict({"4": nn.AvgPool2d(4, 1), "8": nn.AvgPool2d(5, 2), "16": nn.AvgPool2d(4, 4)})

    def features(self, images: Tensor, strides: tuple[int, ...]) -> list[Tensor]:
        """The map of each requested stride.

        Args:
            images: RGB [N, 3, H, W], normalised; H and W multiples of 16.
            strides: Ascending, out of 4, 8, 16.

        Returns:
            One map [N, C, H / stride, W / stride] per stride.
        """
        maps, x = [], images
        for index, layer in enumerate(self.network):
            x = layer(x)
            for stride in strides:
                if self.ends[stride] == index:
                    maps.append(self.averages[str(stride)](x))
        return maps

    def truncate(self, stride: int) -> None:
        """Drops the layers after a stride's map."""
        self.network = nn.Sequential(*list(self.network)[: self.ends[stride] + 1])


def reflected(images: Tensor) -> Tensor:
    """Images continued by reflection as far as a padded PDN's first convolution reads: [N, 3, H + 6, W + 6]."""
    return functional.pad(images, (padding_of(PDN_LAYERS["pdn_small"][0]),) * 4, mode="reflect")


def without_first_padding(network: nn.Sequential) -> nn.Sequential:
    """Changes a padded PDN, in place, into one that reads `reflected` images."""
    first = network[0]
    assert isinstance(first, nn.Conv2d)
    first.padding = (0, 0)
    return network


def grid_size(size: int) -> int:
    """The side of an unpadded PDN's feature grid, in positions, for a side of an image in pixels."""
    return size // STRIDE - 8


def nearest_legal_sizes(size: int, multiple: int = STRIDE) -> tuple[int, ...]:
    """The image sides nearest to `size` that a PDN takes, in pixels: multiples of `multiple`, from 36 upward."""
    return nearest_multiples(size, multiple, -(-9 * STRIDE // multiple) * multiple)
