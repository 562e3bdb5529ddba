"""Which layers INT8 hurts: each is quantized alone, and the fewest are left in float that bring the drift under D."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import onnx

from edgekd.engines import Frames
from edgekd.errors import DriftError
from edgekd.quantization.drift import map_noise
from edgekd.quantization.layers import Layer
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.running import run_graph

RANKED_ON = 2  # Frames: their maps have pixels enough to rank layers by, and a graph is run for every layer.

OnStep = Callable[[int, int], None]  # Steps done, and in all.


class Sensitivity(NamedTuple):
    """What was found.

    Attributes:
        noise: Of the graph with all other layers in INT8.
        in_float: The layers to leave in float, most sensitive first.
        alone: By layer: the noise that quantizing it alone gives to the first frames, largest first.
    """

    noise: float
    in_float: list[str]
    alone: dict[str, float]


def leave_fewest_in_float(
    model: onnx.ModelProto,
    layers: Sequence[Layer],
    scheme: Scheme,
    frames: Frames,
    max_drift: float,
    on_step: OnStep = lambda done, of: None,
) -> Sensitivity:
    """Finds the fewest layers, in the order of their own drift, whose staying in float brings the noise under a limit.

    Args:
        model: Float.
        layers: Of it.
        scheme: Of the whole graph.
        frames: Good pictures, uint8 [N, H, W, 3], BGR, to measure on.
        max_drift: The limit of `Drift.noise`.
        on_step: Told how far it is.

    Raises:
        DriftError: The limit is not reached though but one layer is left in INT8.
    """
    reference = run_graph(model, frames).maps

    def noise_of(chosen: Sequence[Layer], count: int = len(frames)) -> float:
        return map_noise(reference[:count], run_graph(quantize(model, scheme, chosen), frames[:count]).maps)

    noise = noise_of(layers)
    if noise <= max_drift:
        return Sensitivity(noise, [], {})
    alone: dict[str, float] = {}
    for index, layer in enumerate(layers):
        alone[layer.node] = noise_of([layer], RANKED_ON)
        on_step(index + 1, len(layers))
    ranked = sorted(layers, key=lambda layer: alone[layer.node], reverse=True)
    few, many = 0, len(ranked)  # `few` left in float is too little; `many`, all of them, is no INT8 graph.
    reached = noise
    while many - few > 1:
        middle = (few + many) // 2
        noise = noise_of(ranked[middle:])
        if noise <= max_drift:
            many, reached = middle, noise
        else:
            few = middle
    if many == len(ranked):
        raise DriftError(
            f"no INT8 graph drifts by {max_drift:g} or less: with all layers but {ranked[-1].name} in float it is "
            f"{noise:.2g}; allow more, or train with --quantization-aware"
        )
    names = {layer.name: alone[layer.node] for layer in ranked}
    return Sensitivity(reached, [layer.name for layer in ranked[:many]], names)
