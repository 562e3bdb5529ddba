"""The layers that OpenVINO executes: it reports the shapes, precision and time of each."""

from __future__ import annotations

import itertools
import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.artifact import checked_content, read_manifest
from edgekd.engines.base import EngineSpec
from edgekd.engines.openvino import cpu_options
from edgekd.engines.openvino_graphs import read_for_cpu
from edgekd.engines.runtimes import import_openvino
from edgekd.macs import convolution_macs, product_macs, transposed_convolution_macs
from edgekd.profiling.layers import ROUNDS, Layer, Profile

PRECISIONS = {"f32": "fp32", "f16": "fp16", "u8": "int8", "i8": "int8"}
CONVOLUTION, TRANSPOSED, PRODUCTS = "Convolution", "Deconvolution", ("FullyConnected", "MatMul")
UNCOUNTED = (
    "RNNCell",
    "RNNSeq",
    "MHA",
    "ScaledDotProductAttention",
)  # Products whose MACs do not follow from one shape.
NOT_EXECUTED = "not_executed"


def profile_openvino(artifact: Path, spec: EngineSpec, seconds: float) -> Profile:
    """Times each layer.

    Args:
        artifact: The .onnx or .engine file.
        spec: Spec of the engine that runs it.
        seconds: Roughly how long to measure.
    """
    openvino = import_openvino()

    compiled, batch = _compile(artifact, spec)
    request = compiled.create_infer_request()
    frames = np.random.default_rng(0).integers(0, 256, (batch, spec.height, spec.width, 3), np.uint8)
    request.set_input_tensor(openvino.Tensor(frames))
    request.infer()
    start = time.perf_counter()
    request.infer()
    inferences, runs = 2, max(1, int(seconds / ROUNDS / (time.perf_counter() - start)))
    sums = [_sums(compiled, inferences)]
    for _ in range(ROUNDS):
        for _ in range(runs):
            request.infer()
        inferences += runs
        sums.append(_sums(compiled, inferences))
    rounds = list(itertools.pairwise(sums))
    times = {  # OpenVINO reports some layers only once they took a microsecond.
        name: statistics.median((after.get(name, 0.0) - before.get(name, 0.0)) / runs for before, after in rounds)
        for name in sums[-1]
    }
    layers = [_layer(node, times[node.get_friendly_name()]) for node in _executed(compiled)]
    return Profile([layer for layer in layers if layer.time_ms or layer.macs], batch, ROUNDS * runs)


def _compile(artifact: Path, spec: EngineSpec) -> tuple[Any, int]:
    """The graph with performance counters, and its batch size: one frame where it takes any."""
    openvino = import_openvino()

    threads = (spec.threads or 0) // spec.streams  # Those that compute one inference of the engine.
    options = cpu_options(threads) | {"PERF_COUNT": True}
    core, batch = openvino.Core(), spec.batch or 1
    content = checked_content(artifact, read_manifest(artifact))
    if artifact.suffix == ".engine":
        return core.import_model(content, "CPU", options), batch
    model = read_for_cpu(core, content)
    if spec.batch is None:  # MACs are known for fixed shapes only.
        model.reshape({"frames": [batch, spec.height, spec.width, 3]})
    return core.compile_model(model, "CPU", options), batch


def _executed(compiled: Any) -> list[Any]:
    nodes = compiled.get_runtime_model().get_ordered_ops()
    return [node for node in nodes if _field(node, "execTimeMcs") != NOT_EXECUTED]


def _sums(compiled: Any, inferences: int) -> dict[str, float]:
    """Milliseconds by layer over all inferences so far: OpenVINO reports their mean, in whole microseconds."""
    return {
        node.get_friendly_name(): int(_field(node, "execTimeMcs")) * inferences / 1e3 for node in _executed(compiled)
    }


def _layer(node: Any, time_ms: float) -> Layer:
    kind, precision = _field(node, "layerType"), _field(node, "runtimePrecision")
    shapes = [_shape(port) for port in (*node.inputs(), *node.outputs())]
    sizes = [port.get_element_type().bitwidth for port in (*node.inputs(), *node.outputs())]
    known = [shape for shape in shapes if shape is not None]
    moved = None
    if len(known) == len(shapes):
        moved = sum(int(np.prod(shape, dtype=np.int64)) * bits // 8 for shape, bits in zip(known, sizes, strict=True))
    return Layer(
        _name(node),
        kind,
        _weights(node, kind),
        PRECISIONS.get(precision, precision),
        _macs(node, kind),
        moved,
        max(0.0, time_ms),  # Two means, rounded down, may differ by less than nothing.
    )


def _name(node: Any) -> str:
    """A layer's name in the graph, which begins with its module; OpenVINO's own where the graph has none for it.

    OpenVINO names what it fused itself, such as Multiply_30040, and keeps the names of the nodes that went into it.
    """
    fused = _field(node, "originalLayersNames").split(",") if "originalLayersNames" in node.get_rt_info() else []
    names = [str(name).removesuffix("/WithoutBiases") for name in (node.get_friendly_name(), *reversed(fused))]
    return next((name for name in names if "/" in name), names[0])


def _macs(node: Any, kind: str) -> int | None:
    if kind in UNCOUNTED:
        return None
    if kind not in (CONVOLUTION, TRANSPOSED, *PRODUCTS):
        return 0
    first, second = (_shape(node.inputs()[index]) for index in (0, 1))
    output = _shape(node.outputs()[0])
    if first is None or second is None or output is None:
        return None
    if kind == CONVOLUTION:
        return convolution_macs(output, second)
    return transposed_convolution_macs(first, second) if kind == TRANSPOSED else product_macs(output, first)


def _weights(node: Any, kind: str) -> str | None:
    if kind not in (CONVOLUTION, TRANSPOSED, *PRODUCTS):
        return None
    source = node.inputs()[1].get_source_output().get_node()
    return (
        source.get_friendly_name().removesuffix("_quantized").removesuffix("_half")
        if _field(source, "layerType") == "Const"
        else None
    )


def _shape(port: Any) -> list[int] | None:
    shape = port.get_partial_shape()
    return [int(length) for length in shape.to_shape()] if shape.is_static else None


def _field(node: Any, key: str) -> str:
    """A field of OpenVINO's information on a layer."""
    return str(node.get_rt_info()[key].astype(str))
