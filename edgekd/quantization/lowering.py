"""From a float graph to the one that ships: INT8 from a calibration set, with float32 or float16 around it.

FP16 alone is in float16.py.
"""

from __future__ import annotations

from typing import Any

import onnx

from edgekd.engines import Frames
from edgekd.errors import DriftError
from edgekd.precisions import INT8_FP16, CalibrationMethod
from edgekd.progress import Progress, silent
from edgekd.quantization.bias_correction import bias_corrections
from edgekd.quantization.centring import centre_positive
from edgekd.quantization.drift import map_noise
from edgekd.quantization.equalisation import equalise_channels
from edgekd.quantization.flips import MOST_FLIPPED, FindFlips, Flips, JudgedImages, flips_finder
from edgekd.quantization.float16 import to_float16
from edgekd.quantization.histogram import observe
from edgekd.quantization.int8_float16 import to_int8_float16, worth_int8
from edgekd.quantization.layers import Layer, Layers, exact_scales, find_layers
from edgekd.quantization.qdq import Scheme, quantize
from edgekd.quantization.running import run_graph
from edgekd.quantization.scales import scales_of
from edgekd.quantization.sensitivity import Sensitivity, leave_least_in_float
from edgekd.quantization.splitting import split_concatenated
from edgekd.quantization.tuning import Tuned, leave_slow_in_float
from edgekd.quantization.weight_rounding import rounded_weights

SENSITIVITY_FRAMES = 8

# Channels are equalised and maps centred; scales; weights; biases.
CALIBRATION_STEP, CALIBRATION_STEPS = "calibrating", 4

COMPARING_STEP = "comparing verdicts with those in float"

TOO_LITTLE_WORK = "it computes too little with each number for INT8 to pay on a GPU"


def to_int8(
    model: onnx.ModelProto,
    frames: Frames,
    method: CalibrationMethod,
    max_drift: float | None,
    learned: bool = False,
    judged_on: Frames | None = None,
    verdicts_on: JudgedImages | None = None,
    float16_around: bool = False,
    tuned_on: int | None = None,
    progress: Progress = silent,
) -> tuple[onnx.ModelProto, dict[str, Any]]:
    """Quantizes a graph's convolutions.

    Args:
        model: Float32, as `edgekd.graph` writes it; not changed.
        frames: The calibration set, uint8 [N, H, W, 3], BGR.
        method: How activation scales are computed.
        max_drift: Largest RMS change of the anomaly map, in standard deviations; sensitive layers stay in float to
            meet it. None quantizes all.
        learned: Whether the network was trained as it will be rounded: then its weights go to the nearest step, and
            its biases have learned the shifts.
        judged_on: Frames that the drift is measured on; some of the calibration set where none are given.
        verdicts_on: Images whose verdicts the graph has to keep: more layers stay in float where that takes it. None
            where no verdicts are compared, as where there is no limit.
        float16_around: Whether what is not INT8 becomes float16, as TensorRT wants it; see int8_float16.py.
        tuned_on: Threads that compute an inference, where layers that are faster in float on this machine's CPU are to
            stay in it; None leaves no more in float than the limit asks for.
        progress: Called while it works.

    Returns:
        The graph with Q/DQ, and its entries of the manifest.

    Raises:
        DriftError: The limit cannot be reached.
        EdgekdError: The graph is quantized or float16 already.
    """
    split = split_concatenated(model)
    judges = few_of(frames) if judged_on is None else judged_on
    layers = _layers(split, float16_around and not learned)
    progress(CALIBRATION_STEP, 0, CALIBRATION_STEPS)
    if not learned:
        split = equalise_channels(split, layers.quantizable, exact_scales(split), frames)
        split = centre_positive(split, _layers(split, float16_around).quantizable, exact_scales(split), frames)
        layers = _layers(split, float16_around)
    progress(CALIBRATION_STEP, 1, CALIBRATION_STEPS)
    scheme = Scheme(_scales(split, layers, frames, method), layers.attended)
    progress(CALIBRATION_STEP, 2, CALIBRATION_STEPS)
    if not learned:
        scheme = scheme._replace(weights=rounded_weights(split, layers.quantizable, scheme.scales, frames))
        progress(CALIBRATION_STEP, 3, CALIBRATION_STEPS)
        scheme = scheme._replace(corrections=bias_corrections(split, layers.quantizable, scheme, frames))
    progress(CALIBRATION_STEP, CALIBRATION_STEPS, CALIBRATION_STEPS)
    found, flips = Sensitivity(None, [], [], {}), None
    if max_drift is not None:
        flips = None if verdicts_on is None else _told(flips_finder(model, verdicts_on), progress)
        floor = _noise_of_float16(model, judges, max_drift) if float16_around else 0.0
        found = leave_least_in_float(
            split,
            layers.quantizable,
            scheme,
            judges,
            max_drift,
            lambda done, of: progress("trying layers in INT8", done, of),
            to_int8_float16 if float16_around else lambda quantized: quantized,
            floor,
            flips,
        )
    kept = [layer for layer in layers.quantizable if layer.name not in found.in_float]
    stored = {layer.node for layer in layers.quantizable if layer.name not in found.maps_in_float}
    scheme = scheme._replace(attended={node: name for node, name in layers.attended.items() if node in stored})
    tuned = Tuned(kept, [], 1.0)
    if tuned_on is not None:
        tuned, found = _tune(split, scheme, kept, judges, max_drift, found, flips, tuned_on, progress)
    about: dict[str, Any] = {
        "precision": INT8_FP16 if float16_around else "int8",
        "quantization": {
            "method": method,
            "layers_in_int8": [layer.name for layer in tuned.kept],
            "layers_in_float": found.in_float,
            "faster_in_float": tuned.in_float,
            "tuned_time_ratio": tuned.time_ratio if tuned_on is not None else None,
            "maps_in_float": found.maps_in_float,
            "in_float_by_rule": layers.in_float,
            "max_drift": max_drift,
            "noise": found.noise,
            "flips": found.flips,
            "noise_of_each_alone": found.alone,
            "scales": scheme.scales,
        },
    }
    quantized = quantize(split, scheme, tuned.kept)
    return (to_int8_float16(quantized) if float16_around else quantized), about


def _told(flips: FindFlips, progress: Progress) -> FindFlips:
    """The same, which says that it is at work: a large network takes half a minute."""

    def find(lowered: onnx.ModelProto) -> Flips:
        progress(COMPARING_STEP, 0, 1)
        found = flips(lowered)
        progress(COMPARING_STEP, 1, 1)
        return found

    return find


def _tune(
    split: onnx.ModelProto,
    scheme: Scheme,
    kept: list[Layer],
    judges: Frames,
    max_drift: float | None,
    found: Sensitivity,
    flips: FindFlips | None,
    threads: int,
    progress: Progress,
) -> tuple[Tuned, Sensitivity]:
    """The layers that stay in INT8 on this machine, and what that gives; all of them where the drift went too far.

    Noises may cancel each other out, so less rounding can be more noise.
    """
    tuned = leave_slow_in_float(
        lambda layers: quantize(split, scheme, layers),
        kept,
        threads,
        lambda done, of: progress("timing layers in float", done, of),
    )
    if not tuned.in_float:
        return tuned, found
    graph = quantize(split, scheme, tuned.kept)
    noise = map_noise(run_graph(split, judges).maps, run_graph(graph, judges).maps)
    after = found._replace(noise=noise, flips=None if flips is None else flips(graph).share)
    flips_more = (after.flips or 0.0) > max(found.flips or 0.0, MOST_FLIPPED)
    if max_drift is not None and (noise > max_drift or flips_more):
        return Tuned(kept, [], 1.0), found
    return tuned, after


def _layers(model: onnx.ModelProto, float16_around: bool) -> Layers:
    """The layers to quantize; with float16 around them those alone that INT8 makes faster, and no map but theirs."""
    layers = find_layers(model)
    if not float16_around:
        return layers
    pays = {layer.node for layer in layers.quantizable if layer.node in worth_int8(model)}
    small = {layer.name: TOO_LITTLE_WORK for layer in layers.quantizable if layer.node not in pays}
    return Layers([layer for layer in layers.quantizable if layer.node in pays], layers.in_float | small, {})


def _noise_of_float16(model: onnx.ModelProto, judges: Frames, max_drift: float) -> float:
    """The noise of the graph in float16, without any INT8."""
    noise = map_noise(run_graph(model, judges).maps, run_graph(to_float16(model), judges).maps)
    if noise >= max_drift:
        raise DriftError(f"float16 alone drifts by {noise:.3g}, and {max_drift:g} is allowed: allow more")
    return noise


def few_of(frames: Frames) -> Frames:
    """As many frames of a calibration set, evenly spread, as the drift is measured on."""
    return frames[:: max(1, len(frames) // SENSITIVITY_FRAMES)][:SENSITIVITY_FRAMES]


def _scales(split: onnx.ModelProto, layers: Layers, frames: Frames, method: CalibrationMethod) -> dict[str, float]:
    """What a step of each activation stands for, by one of the methods."""
    exact = exact_scales(split)
    stored = list(layers.attended.values())
    tensors = list(dict.fromkeys([layer.activation for layer in layers.quantizable] + stored))
    histograms = observe(split, [name for name in tensors if name not in exact], frames)
    return scales_of(histograms, method) | {name: scale for name, scale in exact.items() if name in tensors}
