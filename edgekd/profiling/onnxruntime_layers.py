"""The layers that ONNX Runtime executes: its trace holds the shapes, types and time of each."""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from edgekd.artifact import checked_content, read_manifest
from edgekd.engines.base import EngineSpec
from edgekd.engines.onnxruntime import session_options
from edgekd.engines.runtimes import import_onnxruntime
from edgekd.macs import convolution_macs, product_macs, transposed_convolution_macs
from edgekd.profiling.layers import Layer, Profile

AT_LEAST, AT_MOST = 3, 200  # Inferences: each adds a line per layer to the trace.
TYPES = {  # In the trace -> bytes per element.
    "float": 4,
    "float16": 2,
    "double": 8,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
    "int32": 4,
    "int64": 8,
    "uint32": 4,
    "uint64": 8,
}
PRECISIONS = {"float": "fp32", "float16": "fp16", "int8": "int8", "uint8": "int8"}
# Kinds with MACs -> index of the input that holds the weights, or the right side.
CONVOLUTIONS = {"Conv": 1, "FusedConv": 1, "NhwcFusedConv": 1, "ConvInteger": 1, "QLinearConv": 3}
TRANSPOSED = {"ConvTranspose": 1}
PRODUCTS = ("MatMul", "FusedMatMul", "Gemm", "FusedGemm", "MatMulInteger", "QLinearMatMul", "QGemm")
UNCOUNTED = ("Attention", "Einsum", "GRU", "LSTM", "MultiHeadAttention", "QAttention", "RNN")


class _Tensor(NamedTuple):
    kind: str
    shape: list[int]


def profile_onnxruntime(artifact: Path, spec: EngineSpec, seconds: float) -> Profile:
    """Times each layer.

    Args:
        artifact: The .onnx file.
        spec: Spec of the engine that runs it.
        seconds: Roughly how long to measure.
    """
    onnxruntime = import_onnxruntime()

    batch = spec.batch or 1
    frames = np.random.default_rng(0).integers(0, 256, (batch, spec.height, spec.width, 3), np.uint8)
    content = checked_content(artifact, read_manifest(artifact))
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(spec.threads or 0)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "trace")
        session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        inferences, end = 0, time.perf_counter() + seconds
        while inferences <= AT_LEAST or (inferences <= AT_MOST and time.perf_counter() < end):
            session.run(["score", "anomaly_map"], {"frames": frames})
            inferences += 1
        trace = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    return Profile(read_trace(trace), batch, inferences - 1)


def read_trace(trace: Iterable[dict[str, Any]]) -> list[Layer]:
    """The layers in a trace of ONNX Runtime; the first run of each, which warms up, is left out.

    Args:
        trace: The trace's events.
    """
    runs: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for event in trace:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            runs.setdefault((event["args"]["node_index"], event["name"]), []).append(event)
    return [_layer(events) for events in runs.values()]


def _layer(events: list[dict[str, Any]]) -> Layer:
    arguments = events[-1]["args"]
    inputs, outputs = _tensors(arguments["input_type_shape"]), _tensors(arguments["output_type_shape"])
    kind, first = arguments["op_name"], inputs[0].kind if inputs else "none"
    moved = None
    if all(tensor.kind in TYPES for tensor in (*inputs, *outputs)):
        moved = sum(int(np.prod(shape, dtype=np.int64)) * TYPES[each] for each, shape in (*inputs, *outputs))
    return Layer(
        events[-1]["name"].removesuffix("_kernel_time"),
        kind,
        None,
        PRECISIONS.get(first, first),
        _macs(kind, inputs, outputs),
        moved,
        statistics.median(event["dur"] for event in events[1:] or events) / 1e3,
    )


def _tensors(described: list[dict[str, list[int]]]) -> list[_Tensor]:
    return [_Tensor(kind, shape) for each in described for kind, shape in each.items()]


def _macs(kind: str, inputs: list[_Tensor], outputs: list[_Tensor]) -> int | None:
    if kind in CONVOLUTIONS:
        return convolution_macs(outputs[0].shape, inputs[CONVOLUTIONS[kind]].shape)
    if kind in TRANSPOSED:
        return transposed_convolution_macs(inputs[0].shape, inputs[TRANSPOSED[kind]].shape)
    if kind in PRODUCTS:
        return product_macs(outputs[0].shape, inputs[0].shape)
    return None if kind in UNCOUNTED else 0
