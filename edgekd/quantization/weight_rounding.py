"""Weights rounded so that their layer's outputs stay, not so that each weight does.

Rounded to the nearest step, the weights of a kernel err together wherever the pixels under it are alike, as in a
depthwise convolution. Here a layer's weights are rounded one after another, and what each errs by is made up for by
those that follow, as far as the real inputs are correlated.
Source: Frantar et al., GPTQ (ICLR 2023), section 3, with the inputs in the order of their energy; Hassibi et al.,
Optimal Brain Surgeon (1993).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import onnx
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from onnx import numpy_helper

from edgekd.engines import Frames
from edgekd.quantization.editing import attributes_of
from edgekd.quantization.layers import Layer
from edgekd.quantization.qdq import LEVELS, PAIR_LEVELS, quantized_weight
from edgekd.quantization.running import tensors_of

WIDEST = 2304  # Inputs of an output: 256 channels of 3 x 3. Beyond, errors average out, and the sums take gigabytes.
SAMPLES = 8  # Times as many positions as inputs, over all images together.
FEWEST_POSITIONS = 256  # Of an image.
DAMPING = 0.01  # Of the mean energy, added to each, so that inputs that are always alike stay solvable.
BLOCK = 128  # Inputs after which the rest is brought up to date.


class _Window(NamedTuple):
    """How a convolution walks over its input."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]
    groups: int


def rounded_weights(
    model: onnx.ModelProto, layers: Sequence[Layer], scales: Mapping[str, float], frames: Frames
) -> dict[str, NDArray[np.int8]]:
    """The weights of layers in steps of their channel's scale, chosen to keep the layers' outputs.

    Args:
        model: Float.
        layers: Of it.
        scales: Of their activations.
        frames: The calibration set, uint8 [N, H, W, 3], BGR.

    Returns:
        By weight, int8 of its shape; none of layers with more than 2,304 inputs an output.
    """
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    narrow = [layer for layer in layers if math.prod(held[layer.weight].dims[1:]) <= WIDEST]
    if not narrow:
        return {}
    energies = _energies(model, narrow, scales, frames)
    rounded = {}
    for name, energy in energies.items():
        weight = numpy_helper.to_array(held[name])
        _, scale = quantized_weight(weight)
        by_group = (len(energy), len(weight) // len(energy))
        steps = _round_in_turn(
            weight.reshape(*by_group, -1).astype(np.float64),
            energy,
            scale.reshape(by_group).astype(np.float64),
            _neighbours(weight.shape[1], math.prod(weight.shape[2:])),
        )
        rounded[name] = steps.reshape(weight.shape).astype(np.int8)
    return rounded


def _round_in_turn(
    weight: NDArray[np.float64],
    energy: NDArray[np.float64],
    scale: NDArray[np.float64],
    neighbours: NDArray[np.intp],
) -> NDArray[np.float64]:
    """Steps [groups, outputs, inputs] of weights of that shape.

    Args:
        weight: [groups, outputs, inputs].
        energy: The mean products of inputs, [groups, inputs, inputs].
        scale: [groups, outputs].
        neighbours: `_neighbours`.
    """
    groups, outputs, inputs = weight.shape
    diagonal = np.einsum("gii->gi", energy)
    order = np.argsort(-diagonal, axis=1, kind="stable")
    energy = np.take_along_axis(np.take_along_axis(energy, order[:, :, None], 1), order[:, None, :], 2)
    floor = DAMPING * diagonal.mean(1) + np.finfo(np.float32).tiny
    energy = energy + floor[:, None, None] * np.eye(inputs)
    sharing = _sharing(energy)
    left = np.take_along_axis(weight, order[:, None, :], 2)
    steps = np.zeros((groups, outputs, inputs + 1))  # In the weight's own order; a neighbour that is not there has 0.
    each = np.arange(groups)
    for start in range(0, inputs, BLOCK):
        end = min(start + BLOCK, inputs)
        errors = np.zeros((*left.shape[:2], end - start))
        for index in range(start, end):
            at = order[:, index]
            beside = steps[each, :, neighbours[at]]
            most = np.minimum(LEVELS, PAIR_LEVELS - np.maximum(beside, 0))
            least = -np.minimum(LEVELS, PAIR_LEVELS - np.maximum(-beside, 0))
            chosen = np.rint(left[:, :, index] / scale).clip(least, most)
            steps[each, :, at] = chosen
            error = (left[:, :, index] - chosen * scale) / sharing[:, None, index, index]
            left[:, :, index + 1 : end] -= error[:, :, None] * sharing[:, None, index, index + 1 : end]
            errors[:, :, index - start] = error
        left[:, :, end:] -= errors @ sharing[:, start:end, end:]
    return steps[:, :, :inputs]


def _sharing(energy: NDArray[np.float64]) -> NDArray[np.float64]:
    """How an error of input j is best shared among those after it, in row j: R, upper triangular, of R'R = energy^-1.

    It is the inverse of the factor U of energy = UU', which is Cholesky's from the last input to the first.
    """
    lower = torch.linalg.cholesky(torch.from_numpy(energy).flip(1, 2))
    inverse = torch.linalg.solve_triangular(lower, torch.eye(energy.shape[1], dtype=lower.dtype), upper=False)
    return np.asarray(inverse.flip(1, 2))


def _neighbours(channels: int, positions: int) -> NDArray[np.intp]:
    """By input: the one at the same place of the channel that `PAIR_LEVELS` pairs its own with; where there is none,
    the number of inputs."""
    inputs = np.arange(channels * positions)
    channel, position = np.divmod(inputs, positions)
    return np.where((channel ^ 1) < channels, (channel ^ 1) * positions + position, channels * positions)


def _energies(
    model: onnx.ModelProto, layers: Sequence[Layer], scales: Mapping[str, float], frames: Frames
) -> dict[str, NDArray[np.float64]]:
    """By weight: the products of every two of its inputs, as INT8 holds them, [groups, inputs, inputs], summed."""
    nodes = {node.output[0]: node for node in model.graph.node}
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    windows = {layer.node: _window(nodes[layer.node], held[layer.weight]) for layer in layers}
    names = list(dict.fromkeys(layer.activation for layer in layers))
    random = np.random.default_rng(0)
    sums: dict[str, NDArray[np.float64]] = {}
    for values in tensors_of(model, names, frames):
        rounded = {}
        for name, value in zip(names, values, strict=True):
            step = np.float32(scales[name])
            rounded[name] = np.rint(value / step).clip(-LEVELS - 1, LEVELS) * step
        for layer in layers:
            patches = _patches(rounded[layer.activation], windows[layer.node], len(frames), random)
            energy = patches.swapaxes(1, 2) @ patches
            sums[layer.weight] = sums.get(layer.weight, np.zeros(())) + energy
    return sums


def _patches(
    values: NDArray[np.float32], window: _Window, sampled_from: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """What a convolution reads at some positions of its input [N, C, H, W]: [groups, positions, inputs]."""
    top, left, bottom, right = window.pads
    padded = np.pad(values, ((0, 0), (0, 0), (top, bottom), (left, right)))
    extent = tuple((side - 1) * step + 1 for side, step in zip(window.kernel, window.dilations, strict=True))
    views = sliding_window_view(padded, extent, axis=(2, 3))
    views = views[:, :, :: window.strides[0], :: window.strides[1], :: window.dilations[0], :: window.dilations[1]]
    images, channels, rows, columns = views.shape[:4]
    inputs = channels // window.groups * math.prod(window.kernel)
    wanted = max(FEWEST_POSITIONS, SAMPLES * inputs // sampled_from)
    chosen = random.permutation(rows * columns)[:wanted]
    patches = views[:, :, chosen // columns, chosen % columns]  # [N, C, positions, kernel, kernel]
    grouped = patches.reshape(images, window.groups, -1, len(chosen), math.prod(window.kernel))
    return grouped.transpose(1, 0, 3, 2, 4).reshape(window.groups, images * len(chosen), inputs)


def _window(node: onnx.NodeProto, weight: onnx.TensorProto) -> _Window:
    given = attributes_of(node)
    if given.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ValueError(f"{node.name} pads by {given['auto_pad']!r}, which edgekd export never writes")
    return _Window(
        kernel=(weight.dims[2], weight.dims[3]),
        strides=tuple(given.get("strides", (1, 1))),
        pads=tuple(given.get("pads", (0, 0, 0, 0))),
        dilations=tuple(given.get("dilations", (1, 1))),
        groups=int(given.get("group", 1)),
    )
