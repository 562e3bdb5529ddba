"""The device's peak, measured: what a graph's speed is compared with."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Collection
from typing import Any

import numpy as np

from edgekd.backends import OPENVINO
from edgekd.engines.cores import usable_cores
from edgekd.engines.runtimes import import_openvino
from edgekd.macs import convolution_macs, product_macs

CHANNELS, GRID, KERNEL, LAYERS = 256, 64, 3, 6  # Of the chains: most of a PDN's work, without its first layer.
INT8_ARITHMETIC = {  # By the kernel's name of the instructions; the fastest that a processor has come first.
    "amx_int8": "INT8 with AMX",
    "avx512_vnni": "INT8 with VNNI",
    "avx_vnni": "INT8 with VNNI",
    "i8mm": "INT8 with matrix products (i8mm)",
    "asimddp": "INT8 with dot products (asimddp)",
}
SIDE = 1536  # Of the square matrices: 27 MB in all, past the private caches, so that blocking is at work.


def peak_macs_fp32(seconds: float = 2.0) -> float:
    """Multiply-accumulates per second in float32, on as many cores as the process may use.

    The better of large matrix products in numpy and of a chain of large convolutions in OpenVINO: numpy's library is
    slower on some processors.

    Args:
        seconds: How long to measure; the best product, or pass through the chain, counts.
    """
    products = _best_product(seconds / 2)
    return max(products, _best_chain(_chain(as_bytes=False), seconds / 2)) if _has_openvino() else products


def peak_macs_int8(seconds: float = 2.0) -> float | None:
    """Multiply-accumulates per second of a chain of large INT8 convolutions in OpenVINO; None without OpenVINO.

    Args:
        seconds: How long to measure; the best pass through the chain counts.
    """
    return _best_chain(_chain(as_bytes=True), seconds) if _has_openvino() else None


def arithmetic(precision: str, instructions: Collection[str] | None) -> str:
    """What a peak was measured in, such as "INT8 with VNNI".

    Args:
        precision: Of the peak: "fp32" or "int8".
        instructions: Of the processor for 8-bit integers, by the kernel's names; None where they are not known.
    """
    if precision != "int8":
        return "float32"
    if instructions is None:
        return "INT8"
    return next((text for name, text in INT8_ARITHMETIC.items() if name in instructions), "INT8 without VNNI or AMX")


def _has_openvino() -> bool:
    return importlib.util.find_spec(OPENVINO) is not None


def _best_product(seconds: float) -> float:
    random = np.random.default_rng(0)
    left, right = (random.standard_normal((SIDE, SIDE), np.float32) for _ in range(2))
    product = np.empty((SIDE, SIDE), np.float32)
    macs = product_macs(product.shape, left.shape)
    return macs / _least_time(lambda: np.matmul(left, right, out=product), seconds)


def _best_chain(model: Any, seconds: float) -> float:
    openvino = import_openvino()

    options = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": usable_cores(),
        "INFERENCE_PRECISION_HINT": "f32",
    }
    request = openvino.Core().compile_model(model, "CPU", options).create_infer_request()
    request.set_input_tensor(openvino.Tensor(np.zeros((1, CHANNELS, GRID, GRID), np.float32)))
    request.infer()
    macs = LAYERS * convolution_macs((1, CHANNELS, GRID, GRID), (CHANNELS, CHANNELS, KERNEL, KERNEL))
    return macs / _least_time(request.infer, seconds)


def _least_time(work: Callable[[], object], seconds: float) -> float:
    """The shortest time of many runs, in seconds."""
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _chain(as_bytes: bool) -> Any:
    """A chain of convolutions; as bytes with fake quantization, so that OpenVINO chooses integer kernels."""
    openvino = import_openvino()
    ops = openvino.opset13

    def rounded(x: Any) -> Any:
        low, high = ops.constant(np.float32(0)), ops.constant(np.float32(1))
        return ops.fake_quantize(x, low, high, low, high, 256) if as_bytes else x

    random = np.random.default_rng(0)
    frames = ops.parameter([1, CHANNELS, GRID, GRID], np.float32)
    x, half = rounded(frames), [KERNEL // 2] * 2
    for _ in range(LAYERS):
        steps = random.integers(-127, 128, (CHANNELS, CHANNELS, KERNEL, KERNEL)).astype(np.int8)
        scale = np.float32(1e-4)
        if as_bytes:
            by_channel = ops.constant(np.full((CHANNELS, 1, 1, 1), scale, np.float32))
            weight = ops.multiply(ops.convert(ops.constant(steps), "f32"), by_channel)
        else:
            weight = ops.constant(steps * scale)
        x = rounded(ops.relu(ops.convolution(x, weight, [1, 1], half, half, [1, 1])))
    return openvino.Model([x], [frames], "peak")
