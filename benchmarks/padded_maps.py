"""What padding INT8 maps before they are quantized saves: as a graph is, and as edgekd compiles it, in turn.

    python benchmarks/padded_maps.py [ARTIFACT...] [--rounds 10] [--json FILE]

First a single convolution of 128 channels to 256, 4 x 4, that pads by 3, of square maps of several widths: of signed
and of unsigned bytes as it is, and of signed ones that are padded before. Then whole INT8 graphs of `edgekd export`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper

from edgekd.artifact import write_json
from edgekd.engines.cores import usable_cores
from edgekd.engines.openvino import cpu_options
from edgekd.engines.openvino_graphs import read_for_cpu
from edgekd.profiling.timing import device_record

CHANNELS, OUTPUTS, KERNEL, PADDING = 128, 256, 4, 3
WIDTHS = (66, 98, 122, 125, 126, 130, 162)
WARM_UP, IN_A_ROW = 3, 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("artifacts", nargs="*", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    core, threads = openvino.Core(), usable_cores()
    rows = []
    for width in WIDTHS:
        signed, unsigned = (convolution(width, dtype) for dtype in (np.int8, np.uint8))
        models = {
            "signed": core.read_model(signed, b""),
            "unsigned": core.read_model(unsigned, b""),
            "compiled": read_for_cpu(core, signed),
        }
        rows.append({"width": width, **timed(core, models, threads, arguments.rounds)})
        print(rows[-1], flush=True)
    for artifact in arguments.artifacts:
        content = artifact.read_bytes()
        models = {"as it is": core.read_model(content, b""), "compiled": read_for_cpu(core, content)}
        found = timed(core, models, threads, arguments.rounds)
        rows.append({"artifact": f"{artifact.parent.name}/{artifact.name}", **found})
        print(rows[-1], flush=True)
    if arguments.json:
        write_json(arguments.json, {"device": device_record(threads), "rounds": arguments.rounds, "rows": rows})


def convolution(width: int, dtype: type) -> bytes:
    """A convolution of a quantized map so wide, with its ReLU, quantized again."""
    rng = np.random.default_rng(0)
    constants: dict[str, Any] = {
        "weights": rng.integers(-127, 128, (OUTPUTS, CHANNELS, KERNEL, KERNEL)).astype(np.int8),
        "weight_scale": np.float32(0.01),
        "weight_zero": np.int8(0),
        "scale": np.float32(0.02),
        "zero": dtype(0),
        "output_scale": np.float32(50),
        "output_zero": np.uint8(0),
    }
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["bytes"]),
        helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["map"]),
        helper.make_node("DequantizeLinear", ["weights", "weight_scale", "weight_zero"], ["w"]),
        helper.make_node("Conv", ["map", "w"], ["sums"], pads=[PADDING] * 4),
        helper.make_node("Relu", ["sums"], ["active"]),
        helper.make_node("QuantizeLinear", ["active", "output_scale", "output_zero"], ["quantized"]),
        helper.make_node("DequantizeLinear", ["quantized", "output_scale", "output_zero"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "convolution",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CHANNELS, width, width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, OUTPUTS, None, None])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def timed(core: Any, models: Mapping[str, Any], threads: int, rounds: int) -> dict[str, Any]:
    """Median milliseconds of each, in turn, and quartiles of how many times as long the first takes as the last."""
    infer = {name: _inference(core, model, threads) for name, model in models.items()}
    times: dict[str, list[float]] = {name: [] for name in models}
    for _ in range(rounds):
        for name, once in infer.items():
            times[name].append(min(_milliseconds(once) for _ in range(IN_A_ROW)))
    first, last = (np.array(times[name]) for name in (next(iter(times)), list(times)[-1]))
    ratio = [round(float(value), 3) for value in np.quantile(first / last, [0.5, 0.25, 0.75])]
    return {"ms": {name: round(float(np.median(found)), 2) for name, found in times.items()}, "ratio": ratio}


def _inference(core: Any, model: Any, threads: int) -> Callable[[], Any]:
    shape = [side.get_length() if side.is_static else 1 for side in model.inputs[0].partial_shape]
    inputs = np.random.default_rng(1).integers(0, 5, shape).astype(model.inputs[0].element_type.to_dtype())
    request = core.compile_model(model, "CPU", cpu_options(threads)).create_infer_request()
    for _ in range(WARM_UP):
        request.infer([inputs])
    return lambda: request.infer([inputs])


def _milliseconds(once: Callable[[], Any]) -> float:
    start = time.perf_counter()
    once()
    return (time.perf_counter() - start) * 1e3


if __name__ == "__main__":
    main()
