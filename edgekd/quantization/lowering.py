"""From a float graph to the one that ships: INT8 from a calibration set. FP16 is in float16.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from edgekd.engines import Frames
from edgekd.quantization.bias_correction import bias_corrections
from edgekd.quantization.histogram import observe
from edgekd.quantization.layers import centred_frames, find_layers
from edgekd.quantization.map_error import scales_for_the_map
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.scales import METHODS, scales_of
from edgekd.quantization.sensitivity import leave_least_in_float
from edgekd.quantization.splitting import split_concatenated

MAP_ERROR = "map-error"
ALL_METHODS = (*METHODS, MAP_ERROR)
SENSITIVITY_FRAMES = 8

OnStep = Callable[[str, int, int], None]  # What is done, steps done, steps in all.


def to_int8(
    model: onnx.ModelProto,
    frames: Frames,
    method: str,
    max_drift: float | None,
    correct_biases: bool = True,
    on_step: OnStep = lambda what, done, of: None,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Quantizes a graph's convolutions.

    Args:
        model: Float32, as `edgekd.graph` writes it; not changed.
        frames: The calibration set, uint8 [N, H, W, 3], BGR.
        method: One of ALL_METHODS.
        max_drift: How much noise the map may gain, over its standard deviation; layers are left in float until it
            does not. None quantizes all.
        correct_biases: Off for a network that was trained as it will be rounded, and has learned the shifts.
        on_step: Told how far each part is.

    Returns:
        The graph with Q/DQ, and what the manifest says of it.

    Raises:
        DriftError: The limit cannot be reached.
        EdgekdError: The graph is quantized or float16 already.
    """
    split = split_concatenated(model)
    layers = find_layers(split)
    tensors = list(dict.fromkeys([layer.activation for layer in layers.quantizable] + list(layers.attended.values())))
    exact = centred_frames(split)
    tensors.remove(exact)
    scales = scales_of(observe(split, tensors, frames), "min-max" if method == MAP_ERROR else method)
    if method == MAP_ERROR:
        scales = scales_for_the_map(split, layers, scales, exact, frames, lambda done, of: on_step("scales", done, of))
    scales[exact] = 1.0
    corrections = bias_corrections(split, layers.quantizable, scales, frames) if correct_biases else {}
    scheme = Scheme(scales, layers.attended, corrections)
    in_float: list[str] = []
    alone: dict[str, float] = {}
    reached: float | None = None
    if max_drift is not None:
        few = frames[:: max(1, len(frames) // SENSITIVITY_FRAMES)][:SENSITIVITY_FRAMES]
        found = leave_least_in_float(
            split, layers.quantizable, scheme, few, max_drift, lambda done, of: on_step("layers", done, of)
        )
        in_float, alone, reached = found.in_float, found.alone, found.noise
    kept = [layer for layer in layers.quantizable if layer.name not in in_float]
    about = {
        "precision": "int8",
        "quantization": {
            "method": method,
            "layers_in_int8": [layer.name for layer in kept],
            "layers_in_float": in_float,
            "in_float_by_rule": layers.in_float,
            "max_drift": max_drift,
            "noise": reached,
            "noise_of_each_layer_alone": alone,
            "scales": scales,
        },
    }
    return quantize(split, scheme, kept), about
