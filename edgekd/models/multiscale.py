"""Maps of a frozen backbone at several strides: the teachers of PFADSeg, DSKD and MTHF."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor, nn

from edgekd.models.normalisation import MEAN, STD


class Backbone(Protocol):
    """A classifier whose maps serve as features.

    Attributes:
        name: On the command line.
        input_mean, input_std: Of each channel, RGB of 0..255, in the images that it was trained on.
    """

    name: str
    input_mean: tuple[float, float, float]
    input_std: tuple[float, float, float]

    def features(self, images: Tensor, strides: tuple[int, ...]) -> list[Tensor]:
        """The last map of each requested stride, [N, C, H / stride, W / stride], of normalised images [N, 3, H, W]."""
        ...

    def truncate(self, stride: int) -> None:
        """Drops the layers after the last map of a stride; `features` up to it works as before."""
        ...


class MultiscaleTeacher(nn.Module):
    """A frozen backbone's maps at several strides, of images normalised as detectors take them.

    Args:
        backbone: With its weights, or to be loaded with them.
        strides: Ascending; the layers after the last are dropped.
    """

    def __init__(self, backbone: Backbone, strides: tuple[int, ...]) -> None:
        super().__init__()
        backbone.truncate(strides[-1])
        self.renormalise = renormalisation(backbone)
        self.backbone = frozen(backbone)
        self.strides = strides
        self.widths = widths_of(backbone, strides)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """One map [N, C, H / stride, W / stride] per stride of images [N, 3, H, W]."""
        return tuple(self.backbone.features(self.renormalise(images), self.strides))


def renormalisation(backbone: Backbone) -> nn.Conv2d:
    """From the normalisation of the detectors to that of a backbone, as a 1 x 1 convolution.

    A convolution, so that the frames' own normalisation can be folded into it, whatever padding comes after.
    """
    scales = [255 * std / own for std, own in zip(STD, backbone.input_std, strict=True)]
    shifts = [
        (255 * mean - own) / std for mean, own, std in zip(MEAN, backbone.input_mean, backbone.input_std, strict=True)
    ]
    return _affine(scales, shifts)


def frame_entry() -> nn.Conv2d:
    """A 1 x 1 identity convolution before a padded first layer, into which the frames' normalisation is folded."""
    return _affine([1.0] * 3, [0.0] * 3)


def _affine(scales: list[float], shifts: list[float]) -> nn.Conv2d:
    """x * scale + shift for each colour, as a 1 x 1 convolution of constants, neither trained nor saved."""
    convolution = nn.Conv2d(3, 3, 1)
    del convolution.weight, convolution.bias
    convolution.register_buffer("weight", torch.diag(torch.tensor(scales)).view(3, 3, 1, 1), persistent=False)
    convolution.register_buffer("bias", torch.tensor(shifts), persistent=False)
    return convolution


def frozen(backbone: Backbone) -> Backbone:
    """The same backbone, in eval mode and without gradients."""
    assert isinstance(backbone, nn.Module)
    backbone.eval().requires_grad_(False)
    return backbone


@torch.no_grad()
def widths_of(backbone: Backbone, strides: tuple[int, ...]) -> tuple[int, ...]:
    """Channels of a backbone's maps at some strides; the backbone must be in eval mode."""
    assert isinstance(backbone, nn.Module)
    example = next(backbone.parameters())
    maps = backbone.features(torch.zeros(1, 3, 64, 64, device=example.device), strides)
    return tuple(layer.shape[1] for layer in maps)
