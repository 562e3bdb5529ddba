"""From camera frames to what a deployed network reads, at no cost: normalisation lives in the first weights."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from edgekd.models.detector import Deployed
from edgekd.models.normalisation import MEAN, STD

CENTRE = 128.0


class FrameNetwork(nn.Module):
    """A deployed network that takes frames as a camera gives them.

    Channel order and normalisation are folded into the convolutions that read the images. That is exact because
    they are unpadded: a padded zero would stand for a grey pixel, not for a mean one. These convolutions read bytes
    less 128, which symmetric INT8 holds without loss; bytes themselves would lose their last bit.

    Args:
        network: A system's deployed form.
    """

    def __init__(self, network: Deployed) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        for convolution in self.network.input_convolutions():
            fold_frames_into(convolution)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Raw scores float32 [N] and raw maps float32 [N, H, W] of frames uint8 [N, H, W, 3], BGR."""
        scores, maps = self.network(frames.float().permute(0, 3, 1, 2) - CENTRE)
        return scores, maps


@torch.no_grad()
def fold_frames_into(convolution: nn.Conv2d) -> None:
    """Changes a convolution of normalised RGB into the same one of BGR bytes less 128.

    Args:
        convolution: Unpadded, with a bias, reading three channels.
    """
    assert convolution.padding == (0, 0), "only an unpadded first layer folds exactly"
    assert convolution.bias is not None, "the mean needs a bias to go to"
    weight = convolution.weight.double()
    mean = torch.tensor(MEAN, dtype=torch.float64)
    std = torch.tensor(STD, dtype=torch.float64)
    zero = (CENTRE / 255 - mean) / std  # What a centred byte of 0 stands for.
    convolution.bias.add_((weight.sum((2, 3)) @ zero).to(convolution.bias.dtype))
    scaled = weight / (255 * std).view(1, 3, 1, 1)
    convolution.weight.copy_(scaled.flip(1))
