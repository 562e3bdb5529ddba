"""What is brought to mean 0 and variance 1 over the good images: a teacher's channels, and the places of a map."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.models.patch_features import PatchTeacher

PLACES = 32  # A side, whatever the size of the map.
# A place counts as so many images more that differ as the average place does: few images say little of a single place,
# and where good images hardly differ, rounding and dust must not decide the score.
USUAL_IMAGES = 20


class Standardised(nn.Module):
    """(features - mean) / std of each channel.

    Source: nelson1425/EfficientAD, efficientad.py, teacher_normalization.

    Args:
        channels: Channels of the features.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("std", torch.ones(channels))

    @torch.no_grad()
    def measure(self, features: Iterable[Tensor]) -> None:
        """Measures mean and standard deviation over features [N, C, H, W] of every good image, once each."""
        count, mean, mean_square = 0, torch.zeros(len(self.mean)).double(), torch.zeros(len(self.mean)).double()
        for entry in features:
            entry = entry.double().cpu()
            count += len(entry)
            mean += entry.mean((2, 3)).sum(0)
            mean_square += entry.square().mean((2, 3)).sum(0)
        variance = mean_square / count - (mean / count).square()
        self.mean.copy_(mean / count)
        self.std.copy_(variance.clamp_min(1e-12).sqrt())

    def forward(self, features: Tensor) -> Tensor:
        """The standardised features, of the shape of `features` [N, C, H, W]."""
        return (features - self.mean.view(1, -1, 1, 1)) / self.std.view(1, -1, 1, 1)

    @torch.no_grad()
    def fold_into(self, teacher: nn.Module) -> nn.Module:
        """Changes a teacher, in place, so that it outputs the standardised features; returns it.

        Args:
            teacher: A PDN, whose last layer is a convolution, or a backbone's patch features.
        """
        if isinstance(teacher, PatchTeacher):
            teacher.standardise(self.mean, self.std)
            return teacher
        assert isinstance(teacher, nn.Sequential)
        last = teacher[-1]
        assert isinstance(last, nn.Conv2d)
        assert last.bias is not None
        last.weight.div_(self.std.view(-1, 1, 1, 1))
        last.bias.copy_((last.bias - self.mean) / self.std)
        return teacher


class Places(nn.Module):
    """The places of a map, as they are or standardised: less the good images' mean, over their deviation.

    A network is surer of some places of a part than of others. Without this the place that it is least sure of decides
    an image's score.

    Args:
        standardised: Whether they are.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, standardised: bool) -> None:
        super().__init__()
        self.standardised = standardised
        if standardised:
            self.register_buffer("mean", torch.zeros(PLACES, PLACES))
            self.register_buffer("std", torch.ones(PLACES, PLACES))

    @torch.no_grad()
    def measure(self, maps: Iterable[Tensor]) -> None:
        """Measures mean and deviation of each place.

        Args:
            maps: Of good images, [N, h, w] each, as `forward` takes them; at least one.
        """
        if not self.standardised:
            return
        count, mean, mean_square = 0, torch.zeros(PLACES, PLACES).double(), torch.zeros(PLACES, PLACES).double()
        for entry in maps:
            entry = entry.double().cpu()
            count += len(entry)
            mean += _on_places(entry).sum(0)
            mean_square += _on_places(entry.square()).sum(0)
        variance = (mean_square / count - (mean / count).square()).clamp_min(0)
        variance = (count * variance + USUAL_IMAGES * variance.mean()) / (count + USUAL_IMAGES)
        self.mean.copy_(mean / count)
        self.std.copy_(variance.clamp_min(1e-24).sqrt())

    def forward(self, maps: Tensor) -> Tensor:
        """Maps [N, h, w] with their places standardised; the same maps where they are not."""
        if not self.standardised:
            return maps
        mean, std = (
            functional.interpolate(entry[None, None], maps.shape[1:], mode="bilinear", align_corners=False)[0]
            for entry in (self.mean, self.std)
        )
        return (maps - mean) * std.reciprocal()  # A constant, where a division would be one more kind of operation.


def _on_places(maps: Tensor) -> Tensor:
    """Maps [N, h, w] on the grid of places, by the mean of each: [N, 32, 32]."""
    return functional.interpolate(maps[:, None], (PLACES, PLACES), mode="area")[:, 0]
