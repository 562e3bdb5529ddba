"""Patch features of a backbone: what a PDN teacher is distilled from.

Each position of a feature map is described by its 3 x 3 neighbourhood, brought to 384 numbers by adaptive average
pooling along the flattened vector. All of it is linear, so it is one 3 x 3 convolution with fixed weights a layer.
Source: PatchCore's aggregation as EfficientAD uses it (nelson1425/EfficientAD, pretraining.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.models.efficientnet_lite import EfficientNetLite
from edgekd.models.pdn import FEATURES

LAYER_LENGTH = 1024  # Each layer's patch vector is pooled to this before the layers are stacked.
KERNEL = 3


class PatchFeatures(nn.Module):
    """A frozen backbone with its patch pooling.

    Args:
        backbone: An EfficientNet-Lite with its weights.
        strides: Its maps to use, finest first.
        grid_stride: Of the result, in pixels of the backbone's picture; every map is brought to this grid.
    """

    def __init__(self, backbone: EfficientNetLite, strides: tuple[int, ...], grid_stride: int) -> None:
        super().__init__()
        self.backbone = backbone.eval().requires_grad_(False)
        self.strides, self.grid_stride = strides, grid_stride
        with torch.device("meta"):
            maps = EfficientNetLite(backbone.name).features(torch.empty(1, 3, 64, 64), strides)
        for index, weight in enumerate(patch_pooling_weights([layer.shape[1] for layer in maps])):
            self.register_buffer(f"pooling{index}", weight)

    @torch.inference_mode()
    def forward(self, images: Tensor) -> Tensor:
        """Features [N, 384, H / grid_stride, W / grid_stride] of RGB images [N, 3, H, W] in 0..255."""
        maps = self.backbone.features((images - 127) / 128, self.strides)
        grid = [side // self.grid_stride for side in images.shape[2:]]
        features = torch.zeros(len(images), FEATURES, *grid, device=images.device)
        for index, layer in enumerate(maps):
            pooled = nn.functional.conv2d(layer, self.get_buffer(f"pooling{index}"), padding=KERNEL // 2)
            # Exact averages where a finer map meets the grid, since both strides are powers of two.
            mode = "area" if pooled.shape[2] > grid[0] else "bilinear"
            features += nn.functional.interpolate(pooled, grid, mode=mode)
        return features


def patch_pooling_weights(channels: list[int]) -> list[Tensor]:
    """The patch pooling of several layers as convolution weights.

    Args:
        channels: Of each layer.

    Returns:
        One tensor [384, C, 3, 3] a layer; the features are the sum of the layers' convolutions.
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
