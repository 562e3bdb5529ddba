"""What the device can do at best, measured: the yardstick for what a graph achieves."""

from __future__ import annotations

import importlib.util
import time
from typing import Any

import numpy as np

from edgekd.engines.opening import usable_cores

CHANNELS, GRID, KERNEL, LAYERS = 256, 64, 3, 6  # Of the INT8 chain: what a PDN does most of, without its first layer.
SIDE = 1536  # Of the square matrices: 27 MB in all, past the private caches, so that blocking is at work.


def peak_macs_fp32(seconds: float = 2.0) -> float:
    """Multiply-accumulates a second of large float32 matrix products, on as many cores as the process may use.

    Args:
        seconds: To measure for; the best product counts.
    """
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
    product = np.empty((SIDE, SIDE), np.float32)
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        np.matmul(left, right, out=product)
        best = min(best, time.perf_counter() - start)
    return float(SIDE**3 / best)


def peak_macs_int8(seconds: float = 2.0) -> float | None:
    """Multiply-accumulates a second of a chain of large INT8 convolutions in OpenVINO; None without OpenVINO.

    Args:
        seconds: To measure for; the best run through the chain counts.
    """
    if importlib.util.find_spec("openvino") is None:
        return None
    import openvino

    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": usable_cores(),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(_int8_chain(), "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.zeros((1, CHANNELS, GRID, GRID), np.float32)))
    request.infer()
    best, end = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < end:
        start = time.perf_counter()
        request.infer()
        best = min(best, time.perf_counter() - start)
    return float(LAYERS * (CHANNELS * KERNEL * GRID) ** 2 / best)


def _int8_chain() -> Any:
    """Convolutions that read bytes: OpenVINO takes the integer kernels where it finds the ranges of both sides."""
    import openvino
    from openvino import opset13 as ops

    def in_bytes(x: Any) -> Any:
        low, high = ops.constant(np.float32(0)), ops.constant(np.float32(1))
        return ops.fake_quantize(x, low, high, low, high, 256)

    random = np.random.default_rng(0)
    frames = ops.parameter([1, CHANNELS, GRID, GRID], np.float32)
    x, half = in_bytes(frames), [KERNEL // 2] * 2
    for _ in range(LAYERS):
        steps = ops.constant(random.integers(-127, 128, (CHANNELS, CHANNELS, KERNEL, KERNEL)).astype(np.int8))
        scale = ops.constant(np.full((CHANNELS, 1, 1, 1), 1e-4, np.float32))
        weight = ops.multiply(ops.convert(steps, "f32"), scale)
        x = in_bytes(ops.relu(ops.convolution(x, weight, [1, 1], half, half, [1, 1])))
    return openvino.Model([x], [frames], "peak")
