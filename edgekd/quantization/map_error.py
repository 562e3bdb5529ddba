"""Scales that keep the anomaly map, not each tensor: the map is a small difference, and only its error counts.

From scales that clip nothing, each activation's in turn is made smaller as long as the map comes nearer to the float
one. The graph is loaded once; its scales are inputs of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import onnx

from edgekd.engines import Frames
from edgekd.quantization.drift import map_noise
from edgekd.quantization.layers import Layers
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.running import batch_of, open_session, run_batches, run_graph

SHRINK = 0.8  # Of a scale, at each try.
FEWEST_FACTOR = 0.2
FRAMES = 4  # A map has thousands of pixels, so few images do.


def scales_for_the_map(
    model: onnx.ModelProto,
    layers: Layers,
    scales: Mapping[str, float],
    exact: Mapping[str, float],
    frames: Frames,
    on_step: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, float]:
    """Scales of activations that bring the quantized graph's map nearest to the float one's.

    Args:
        model: Float.
        layers: Of it; all are quantized.
        scales: That clip nothing, to begin with.
        exact: Scales that stay, of `exact_scales`.
        frames: Good images, uint8 [N, H, W, 3], BGR; some of them, evenly spread, are used.
        on_step: Told the tensors done, and all.
    """
    few = frames[np.linspace(0, len(frames) - 1, min(FRAMES, len(frames))).round().astype(int)]
    reference = run_graph(model, few).maps
    whole = quantize(model, Scheme({**scales, **exact}, layers.attended), layers.quantizable)
    session = open_session(_with_open_scales(whole, scales))
    best = {name: np.float32(scale) for name, scale in scales.items()}

    def noise_of(tried: Mapping[str, np.float32]) -> float:
        given = {f"{name}_scale": np.asarray(scale) for name, scale in tried.items()}
        maps = [answer for (answer,) in run_batches(session, batch_of(model), ["anomaly_map"], few, given)]
        return map_noise(reference, np.concatenate(maps))

    least = noise_of(best)
    for index, name in enumerate(scales):
        while best[name] * SHRINK > FEWEST_FACTOR * scales[name]:
            tried = best | {name: np.float32(best[name] * SHRINK)}
            noise = noise_of(tried)
            if noise >= least:
                break
            best, least = tried, noise
        on_step(index + 1, len(scales))
    return {name: float(scale) for name, scale in best.items()}


def _with_open_scales(model: onnx.ModelProto, scales: Mapping[str, float]) -> onnx.ModelProto:
    """The same graph with its activations' scales as inputs that have defaults."""
    for name in scales:
        model.graph.input.append(onnx.helper.make_tensor_value_info(f"{name}_scale", onnx.TensorProto.FLOAT, []))
    return model
