"""The teacher's features brought to mean 0 and variance 1 over the good images, channel by channel."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from edgekd.models.patch_features import PatchTeacher


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
