"""Quantization-aware distillation: the teacher as it will ship is the target, and the student learns as it will ship.

Convolutions compute with weights and inputs rounded to INT8: weights by channel, inputs by tensor, symmetric, 127 steps
to either side. Q/DQ will round the same way, but for two things: the graph folds the normalisation of frames into the
first weights before it rounds them, and stores maps that attention reads in INT8 too. Gradients pass as if nothing
were rounded, but not where an input is clipped. The frozen teacher's ranges are measured once, on good images; the
student's move with it, batch by batch.
Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference
(CVPR 2018), section 3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

from edgekd.models.detector import Detector

LEVELS = 127
IMAGE_CHANNELS = 3  # What reads images reads bytes less 128 in the graph, which INT8 holds without loss.


class RoundedConvolution:
    """What takes the place of a convolution's arithmetic.

    Attributes:
        limit: The largest magnitude of its input that INT8 holds; None takes that of each batch.
        observing: Whether `limit` is being measured, and nothing rounded.
    """

    def __init__(self, convolution: nn.Conv2d) -> None:
        self._convolution = convolution
        self.limit: Tensor | None = None
        self.observing = False

    def __call__(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        layer = self._convolution
        if self.observing:
            largest = x.detach().abs().amax()
            self.limit = largest if self.limit is None else torch.maximum(self.limit, largest)
        else:
            weight = _rounded_weight(weight)
            x = x if layer.in_channels == IMAGE_CHANNELS else self._rounded(x)
        return functional.conv2d(x, weight, bias, layer.stride, layer.padding, layer.dilation, layer.groups)

    def _rounded(self, x: Tensor) -> Tensor:
        limit = x.detach().abs().amax() if self.limit is None else self.limit
        scale = (limit / LEVELS).clamp_min(torch.finfo(torch.float32).tiny).float()
        zero = torch.zeros(1, dtype=torch.int32, device=x.device)
        return torch.fake_quantize_per_tensor_affine(x, scale.view(1), zero, -LEVELS, LEVELS)


def _rounded_weight(weight: Tensor) -> Tensor:
    # By the largest pair of neighbouring channels, as in `edgekd.quantization.qdq.quantized_weight`.
    even = functional.pad(weight.detach(), (0, 0, 0, 0, 0, weight.shape[1] % 2))
    pairs = even.reshape(len(even), -1, 2, *even.shape[2:])
    largest = torch.maximum(pairs.clamp_min(0).sum(2), (-pairs).clamp_min(0).sum(2)).amax((1, 2, 3))
    scale = torch.where(largest > 0, largest, torch.ones_like(largest)) / LEVELS
    zeros = torch.zeros_like(scale, dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zeros, 0, -LEVELS, LEVELS)


@contextmanager
def rounded_to_int8(detector: Detector, images: Iterable[Tensor]) -> Iterator[None]:
    """Within it, a detector computes as its INT8 graph will.

    Args:
        detector: One whose `quantizable()` names the modules that are quantized.
        images: Good images, normalised RGB [1, 3, H, W] each, to measure the frozen teacher's ranges on.
    """
    frozen = set(detector.teacher.modules())
    rounded = {}
    for part in detector.quantizable():
        for module in part.modules():
            if isinstance(module, nn.Conv2d):
                rounded[module] = RoundedConvolution(module)
                module._conv_forward = rounded[module]  # type: ignore[method-assign,assignment]
    try:
        _measure(detector, [entry for module, entry in rounded.items() if module in frozen], images)
        yield
    finally:
        for module in rounded:
            del module._conv_forward


@torch.no_grad()
def _measure(detector: Detector, entries: list[RoundedConvolution], images: Iterable[Tensor]) -> None:
    for entry in entries:
        entry.observing = True
    for image in images:
        detector.targets(image)
    for entry in entries:
        entry.observing = False
