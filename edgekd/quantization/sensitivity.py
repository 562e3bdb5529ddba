"""Which layers INT8 hurts: each is tried alone, and as little as may be is left in float to keep the drift under D."""

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

# What leaving a layer in float costs besides its own work, as a share of the graph's: reading and writing its maps in
# float, and where attention reads them too, reading them again and again (measured with HKT: 5 of 65 ms).
COST_OF_MAPS = 0.01
COST_OF_ATTENDED_MAPS = 0.08

OnStep = Callable[[int, int], None]  # Steps done, and in all.


class Sensitivity(NamedTuple):
    """What was found.

    Attributes:
        noise: Of the graph with all other layers in INT8.
        in_float: The layers to leave in float, in the order in which they pay.
        alone: By layer: the noise that quantizing it alone gives to the first frames, largest first.
    """

    noise: float
    in_float: list[str]
    alone: dict[str, float]


def leave_least_in_float(
    model: onnx.ModelProto,
    layers: Sequence[Layer],
    scheme: Scheme,
    frames: Frames,
    max_drift: float,
    on_step: OnStep = lambda done, of: None,
) -> Sensitivity:
    """Finds the layers whose staying in float brings the noise under a limit at the least cost in speed.

    Noises of layers add up by their squares, so layers are left in the order of their own noise squared over what they
    cost in float: a knapsack filled greedily.

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
    work = sum(layer.macs for layer in layers)

    def cost_of(layer: Layer) -> float:
        return layer.macs / work + (COST_OF_ATTENDED_MAPS if layer.node in scheme.attended else COST_OF_MAPS)

    ranked = sorted(layers, key=lambda layer: alone[layer.node] ** 2 / cost_of(layer), reverse=True)
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
    loudest = sorted(layers, key=lambda layer: alone[layer.node], reverse=True)
    names = {layer.name: alone[layer.node] for layer in loudest}
    return Sensitivity(reached, [layer.name for layer in ranked[:many]], names)
