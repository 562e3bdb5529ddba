"""Operations on maps: cosine distances, quantile normalisation, and resizing and smoothing as constant matrices.

Resizing and Gaussian smoothing are linear and separable, so each is R X C^T with constant matrices R and C, and one
after the other is one such product.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.macs import product_macs

Score = Literal["max", "top_percent"]  # What an image's score takes from its map.

TRUNCATE = 4.0  # Standard deviations after which a Gaussian ends, as in scipy.ndimage.gaussian_filter.
NORM_EPSILON = 1e-24  # Under the root, where a norm of 0 still has a derivative.


def normalised(features: Tensor) -> Tensor:
    """Features [N, C, H, W] divided by the L2 norm over their channels at each position."""
    return features / (features.square().sum(1, keepdim=True) + NORM_EPSILON).sqrt()


def cosine_distance(teacher: Tensor, student: Tensor) -> Tensor:
    """1 minus the cosine similarity of two maps [N, C, H, W] at each position: [N, H, W], 0 to 2.

    Computed as half the squared distance of the normalised features, which is equal and precise near 0.
    """
    return 0.5 * (normalised(teacher) - normalised(student)).square().sum(1)


def scores_of(maps: Tensor, score: Score) -> Tensor:
    """The scores [N] of maps [N, H, W].

    Args:
        maps: Anomaly maps, on the grid that is scored.
        score: "max" for the largest value; "top_percent" for the mean of the highest hundredth, which one noisy place
            of a good image does not decide.
    """
    if score == "max":
        return maps.amax((1, 2))
    highest: Tensor = maps.flatten(1).topk(max(1, maps[0].numel() // 100)).values
    return highest.mean(1)


def resized(maps: Tensor, size: Sequence[int]) -> Tensor:
    """Maps [N, h, w] resized to [N, *size], bilinear."""
    return functional.interpolate(maps.unsqueeze(1), tuple(size), mode="bilinear", align_corners=False).squeeze(1)


def area_weights(strides: Sequence[int]) -> list[float]:
    """What each scale's map weighs when all are fused by the area that one of its places stands for; of sum 1.

    Coarse features tell a defect from an unusual good part far better than fine ones, which differ from image to image.
    """
    whole = sum(stride**2 for stride in strides)
    return [stride**2 / whole for stride in strides]


def resize_matrix(inputs: int, outputs: int, mode: str) -> Tensor:
    """The matrix [outputs, inputs] that resizes one axis as torch does.

    Args:
        inputs, outputs: Sizes of the axis.
        mode: "bilinear" or "bicubic" (a = -0.75), both with half-pixel centres.
    """
    # Rows of the identity are resized along the other axis, whose size of 1 any mode keeps as it is.
    unit = torch.eye(inputs, dtype=torch.float64).view(inputs, 1, 1, inputs)
    return functional.interpolate(unit, (1, outputs), mode=mode, align_corners=False).view(inputs, outputs).T


def gaussian_matrix(size: int, sigma: float) -> Tensor:
    """The matrix [size, size] that smooths one axis as scipy.ndimage.gaussian_filter does, mirrored at the ends.

    Args:
        size: Pixels of the axis.
        sigma: Standard deviation of the Gaussian, in pixels.
    """
    radius = int(TRUNCATE * sigma + 0.5)
    kernel = np.exp(-0.5 * (np.arange(-radius, radius + 1) / sigma) ** 2)
    kernel /= kernel.sum()
    matrix = np.zeros((size, size))
    for row in range(size):
        places = np.pad(np.arange(size), radius, mode="symmetric")[row : row + 2 * radius + 1]
        np.add.at(matrix[row], places, kernel)
    return torch.from_numpy(matrix)


class SeparableMap(nn.Module):
    """R X C^T of maps X, for two constant matrices.

    Args:
        down: R, of the columns, [outputs, inputs].
        across: C, of the rows, [outputs, inputs].
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, down: Tensor, across: Tensor) -> None:
        super().__init__()
        self.register_buffer("rows", down.float().contiguous(), persistent=False)
        self.register_buffer("columns", across.float().T.contiguous(), persistent=False)

    def forward(self, maps: Tensor) -> Tensor:
        """[..., outputs down, outputs across] of maps [..., inputs down, inputs across]."""
        return torch.matmul(self.rows, torch.matmul(maps, self.columns))

    def macs(self, maps: Tensor) -> int:
        """Multiply-accumulates of the two products for maps [..., inputs down, inputs across]."""
        down, across = len(self.rows), self.columns.shape[1]
        inner, result = (*maps.shape[:-1], across), (*maps.shape[:-2], down, across)
        return product_macs(inner, maps.shape) + product_macs(result, self.rows.shape)


def smoothed(maps: Tensor, sigma: float) -> Tensor:
    """Maps [N, H, W] smoothed by a Gaussian; sigma is its standard deviation, in pixels."""
    down, across = (gaussian_matrix(side, sigma).to(maps) for side in maps.shape[-2:])
    return down @ maps @ across.T


def resizing(inputs: Sequence[int], outputs: Sequence[int], mode: str) -> SeparableMap:
    """Resizing of maps as torch does it, as two products.

    Args:
        inputs, outputs: Height and width, in pixels.
        mode: "bilinear" or "bicubic".
    """
    return SeparableMap(*(resize_matrix(before, after, mode) for before, after in zip(inputs, outputs, strict=True)))


def smoothing(size: Sequence[int], sigma: float) -> SeparableMap:
    """Gaussian smoothing of maps, as two products.

    Args:
        size: Height and width, in pixels.
        sigma: Standard deviation of the Gaussian, in pixels.
    """
    return SeparableMap(*(gaussian_matrix(side, sigma) for side in size))


def resize_and_smooth(inputs: Sequence[int], outputs: Sequence[int], sigma: float) -> SeparableMap:
    """Bilinear resizing, then Gaussian smoothing, of maps, as one.

    Args:
        inputs, outputs: Height and width, in pixels.
        sigma: Standard deviation of the Gaussian, in pixels of the result.
    """
    down, across = (
        gaussian_matrix(after, sigma) @ resize_matrix(before, after, "bilinear")
        for before, after in zip(inputs, outputs, strict=True)
    )
    return SeparableMap(down, across)


QUANTILES = (0.9, 0.995)  # Of good images' pixels; Xmh-L/MHKD4AD, MHKD.py, as EfficientAD.
QUANTILE_SCALE = 0.1


def unit_ranges(count: int) -> Tensor:
    """Quantiles [count, 2] before they are fitted: 0 and 1 for each map."""
    return torch.tensor([[0.0, 1.0]] * count, device="cpu")


def measured_ranges(maps: Iterable[Sequence[Tensor]]) -> Tensor:
    """The quantiles [count, 2] of each kind of map over all pixels of all images.

    Args:
        maps: For each image, one map [1, h, w] of each kind.
    """
    return torch.tensor([quantiles_of(list(of_kind), QUANTILES) for of_kind in zip(*maps, strict=True)])


def scales_and_shifts(ranges: Tensor) -> tuple[Tensor, Tensor]:
    """The factor and the offset for each kind of map, [count] each, that make its quantiles 0 and 0.1."""
    scales = QUANTILE_SCALE / (ranges[:, 1] - ranges[:, 0]).clamp_min(1e-12)
    return scales, -ranges[:, 0] * scales


def quantiles_of(maps: list[Tensor], shares: tuple[float, float]) -> tuple[float, float]:
    """Two quantiles over all pixels of any number of maps; torch.quantile takes at most 2^24 values."""
    pixels = np.concatenate([entry.detach().cpu().numpy().ravel() for entry in maps])
    low, high = np.quantile(pixels, shares)
    return float(low), float(high)
