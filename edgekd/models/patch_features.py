"""Patch features of a backbone: the targets that a PDN teacher is distilled from, and a teacher in their own right.

Each position of a feature map is described by its 3 x 3 neighbourhood, reduced to 384 numbers by adaptive average
pooling along the flattened vector. All of it is linear, so it is one 3 x 3 convolution with fixed weights per layer.
Source: PatchCore's aggregation as EfficientAD uses it (nelson1425/EfficientAD, pretraining.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd.models.backbones.pdn import BORDER, FEATURES, STRIDE
from edgekd.models.multiscale import Backbone, frozen, renormalisation, widths_of

LAYER_LENGTH = 1024  # Each layer's patch vector is pooled to this before the layers are stacked.
KERNEL = 3
TEACHER_STRIDES = (8, 16)


class PatchFeatures(nn.Module):
    """A frozen backbone with its patch pooling.

    Args:
        backbone: With its weights; the layers after the deepest map are dropped from it.
        strides: Its maps to use, finest first.
        grid_stride: Of the result, in pixels of the backbone's image; every map is resized to this grid.
    """

    input_mean: Tensor
    input_std: Tensor

    def __init__(self, backbone: Backbone, strides: tuple[int, ...], grid_stride: int) -> None:
        super().__init__()
        backbone.truncate(strides[-1])
        self.backbone = frozen(backbone)
        self.strides, self.grid_stride = strides, grid_stride
        for name in ("input_mean", "input_std"):
            self.register_buffer(name, torch.tensor(getattr(backbone, name)).view(1, 3, 1, 1), persistent=False)
        weights = patch_pooling_weights(widths_of(backbone, strides))
        self.poolings = nn.ModuleList(_pooling(weight) for weight in weights)

    def forward(self, images: Tensor) -> Tensor:
        """Features [N, 384, H / grid_stride, W / grid_stride] of RGB images [N, 3, H, W] in 0..255."""
        return self.of_normalised((images - self.input_mean) / self.input_std)

    def of_normalised(self, images: Tensor) -> Tensor:
        """The same, of images [N, 3, H, W] that are normalised as the backbone needs them."""
        grid = [side // self.grid_stride for side in images.shape[2:]]
        maps = self.backbone.features(images, self.strides)
        pooled = [_to_grid(pooling(layer), grid) for pooling, layer in zip(self.poolings, maps, strict=True)]
        features = pooled[0]
        for layer in pooled[1:]:
            features = features + layer
        return features


class PatchTeacher(nn.Module):
    """A backbone's patch features on the grid of a PDN, as a teacher in its place.

    Args:
        backbone: With its weights.
        padded: Whether that PDN is padded, so that its grid covers the whole image.
    """

    def __init__(self, backbone: Backbone, padded: bool = False) -> None:
        super().__init__()
        self.border = 0 if padded else BORDER
        self.renormalise = renormalisation(backbone)
        self.features = PatchFeatures(backbone, TEACHER_STRIDES, STRIDE)

    def forward(self, images: Tensor) -> Tensor:
        """Features [N, 384, H / 4 - 8, W / 4 - 8] of images [N, 3, H, W], normalised as detectors take them.

        Padded, [N, 384, H / 4, W / 4].
        """
        features = self.features.of_normalised(self.renormalise(images))
        if not self.border:
            return features
        return features[:, :, self.border : -self.border, self.border : -self.border]

    @torch.no_grad()
    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Changes the features, in place, to (features - mean) / std; mean and std are [384]."""
        first = self.features.poolings[0]
        assert isinstance(first, nn.Conv2d)
        assert first.bias is not None
        for pooling in self.features.poolings:
            assert isinstance(pooling, nn.Conv2d)
            pooling.weight.div_(std.view(-1, 1, 1, 1))
        first.bias.copy_((first.bias - mean) / std)  # Interpolation keeps a constant, so one layer carries it.


def patch_pooling_weights(channels: Sequence[int]) -> list[Tensor]:
    """The patch pooling of several layers as convolution weights.

    Args:
        channels: Channels of each layer.

    Returns:
        One tensor [384, C, 3, 3] per layer; the features are the sum of the layers' convolutions.
    """
    adaptive_pool = nn.functional.adaptive_avg_pool1d
    stacked = LAYER_LENGTH * len(channels)
    to_features = adaptive_pool(torch.eye(stacked), FEATURES)  # [stacked, 384]
    weights = []
    for index, count in enumerate(channels):
        to_layer = adaptive_pool(torch.eye(count * KERNEL**2), LAYER_LENGTH)
        part = to_features[index * LAYER_LENGTH : (index + 1) * LAYER_LENGTH]
        weights.append((to_layer @ part).T.reshape(FEATURES, count, KERNEL, KERNEL).contiguous())
    return weights


def _pooling(weight: Tensor) -> nn.Conv2d:
    pooling = nn.Conv2d(weight.shape[1], FEATURES, KERNEL, padding=KERNEL // 2)
    assert pooling.bias is not None
    pooling.weight.data = weight
    pooling.bias.data.zero_()
    return pooling.requires_grad_(False)


def _to_grid(layer: Tensor, grid: list[int]) -> Tensor:
    # Exact averages where a finer map meets the grid, since both strides are powers of two.
    mode = "area" if layer.shape[2] > grid[0] else "bilinear"
    return nn.functional.interpolate(layer, grid, mode=mode)
