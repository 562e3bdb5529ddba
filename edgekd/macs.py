"""How multiply-accumulates (MACs) are counted, from shapes alone.

One MAC is one multiplication and the addition of its product. Biases, activations and pools count nothing. Networks,
graphs and executed layers are all counted by these functions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence


def convolution_macs(output: Sequence[int], weights: Sequence[int]) -> int:
    """MACs of a convolution, grouped or not.

    Args:
        output: Shape of the output, [N, O, ...].
        weights: Shape of the weights, [O, I / groups, ...] or [groups, O / groups, I / groups, ...].
    """
    leading = 1 + (len(weights) > len(output))
    return math.prod(output) * math.prod(weights[leading:])


def transposed_convolution_macs(inputs: Sequence[int], weights: Sequence[int]) -> int:
    """MACs of a transposed convolution, grouped or not.

    Args:
        inputs: Shape of the input, [N, I, ...].
        weights: Shape of the weights, [I, O / groups, ...] or [groups, I / groups, O / groups, ...].
    """
    leading = 1 + (len(weights) > len(inputs))
    return math.prod(inputs) * math.prod(weights[leading:])


def product_macs(output: Sequence[int], left: Sequence[int]) -> int:
    """MACs of a matrix product, or of a fully connected layer.

    Args:
        output: Shape of the product, [..., M, N]; of a layer, [..., features].
        left: Shape of the left factor, [..., M, K]; of a layer, its input's.
    """
    return math.prod(output) * left[-1]
