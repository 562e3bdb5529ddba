"""What the device can do at best, measured with torch: matrix products, convolutions, copies."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import nn

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
CHANNELS, GRID, KERNEL, LAYERS = 256, 64, 3, 6  # Of the chains of convolutions: what a PDN does most of.


def measure_peaks(device: torch.device, seconds: float) -> dict[str, float]:
    """Multiply-accumulates a second by data type: the best of large products and of chains of convolutions.

    Args:
        device: A GPU; a CPU is measured in float32 alone, at small sizes.
        seconds: For each data type.
    """
    on_gpu = device.type == "cuda"
    peaks = {}
    for name, dtype in DTYPES.items() if on_gpu else [("fp32", torch.float32)]:
        sides, batches = ((4096, 8192), (8, 32)) if on_gpu else ((512,), (1,))
        works = [_product(side, dtype, device) for side in sides]
        works += [_chain(batch, dtype, device) for batch in batches]
        peaks[name] = max(macs / least_time(work, device, seconds / len(works)) for work, macs in works)
    return peaks


def measure_bandwidth(device: torch.device, seconds: float) -> float:
    """Bytes a second that a large copy within the device's memory reads and writes."""
    size = 1 << (30 if device.type == "cuda" else 26)
    source, target = (torch.zeros(size, dtype=torch.uint8, device=device) for _ in range(2))
    return 2 * size / least_time(lambda: target.copy_(source), device, seconds)


@torch.inference_mode()
def least_time(work: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Seconds that work takes at best, done over and over, by the device's own clock."""
    for _ in range(2):
        work()
    best, end = float("inf"), time.perf_counter() + seconds
    while best == float("inf") or time.perf_counter() < end:
        best = min(best, timed(work, device))
    return best


def timed(work: Callable[[], object], device: torch.device) -> float:
    """Seconds that work takes once."""
    if device.type != "cuda":
        start = time.perf_counter()
        work()
        return time.perf_counter() - start
    before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    before.record()
    work()
    after.record()
    after.synchronize()
    return float(before.elapsed_time(after)) / 1e3


def _product(side: int, dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], object], float]:
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    product = torch.empty_like(left)
    return lambda: torch.matmul(left, right, out=product), float(side) ** 3


def _chain(batch: int, dtype: torch.dtype, device: torch.device) -> tuple[Callable[[], object], float]:
    layers = [nn.Conv2d(CHANNELS, CHANNELS, KERNEL, padding=KERNEL // 2, bias=False) for _ in range(LAYERS)]
    network = nn.Sequential(*layers).to(device, dtype).to(memory_format=torch.channels_last)
    images = torch.randn(batch, CHANNELS, GRID, GRID, device=device).to(dtype)
    images = images.contiguous(memory_format=torch.channels_last)
    return lambda: network(images), float(batch * LAYERS * (CHANNELS * KERNEL * GRID) ** 2)
