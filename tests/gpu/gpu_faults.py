"""What can go wrong on a GPU, each in a process of its own, since some of it leaves a context of no use:

    python tests/gpu/gpu_faults.py fault|memory|close

The last line on standard output is JSON: what was seen.
"""

import contextlib
import json
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))

import torch
from gpu_kernels import ByteKernel, SlotTensors, expected_answers

from edgekd.engines import EVERY_MAP
from edgekd.engines.cuda import CudaError, open_driver
from edgekd.engines.cuda.ring import SlotRing
from edgekd.errors import EdgekdError, one_line

SIDE = 64
SMALLEST = 1 << 20
MOST_BLOCKS = 100_000


def frames_of(seed, count=1, side=SIDE):
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), np.uint8)


def fault(driver):
    """A kernel fails in the third batch of four that are under way."""
    tensors = SlotTensors(driver, (1, SIDE, SIDE))
    kernel, runs = ByteKernel(tensors), []
    zero = torch.zeros(1, device="cuda")
    torch.cuda.synchronize()

    def compute(slot, count):
        runs.append(slot)
        try:
            kernel(slot, count)
            if len(runs) == 3:
                with torch.cuda.stream(tensors.of(slot)[3]):
                    torch._assert_async(zero)
        except RuntimeError as error:  # Torch may be the first to notice, as TensorRT may be.
            raise CudaError(f"CUDA: {one_line(error)}") from error

    ring = SlotRing(driver, (1, SIDE, SIDE), 4, compute, capture=False)
    errors = []
    tickets = []
    for seed in range(4):
        with noting(errors):
            tickets.append(ring.submit(frames_of(seed), EVERY_MAP))
    for ticket in tickets:
        with noting(errors):
            ring.collect(ticket)
    submitted_after = []
    with noting(submitted_after):
        ring.collect(ring.submit(frames_of(9), EVERY_MAP))
    return {"errors": errors, "broken": ring.broken, "after": submitted_after}


def memory(driver):
    """The device's memory is used up; a ring is refused; with the memory back it runs."""
    blocks, size = 0, driver.device.memory
    while size >= SMALLEST and blocks < MOST_BLOCKS:
        try:
            driver.allocate(size)
            blocks += 1
        except CudaError:
            size //= 2
    errors = []
    with noting(errors):
        SlotRing(driver, (16, 512, 512), 4, lambda slot, count: None, capture=False)
    driver.close()
    again = open_driver()
    ring = SlotRing(again, (1, SIDE, SIDE), 2, ByteKernel(SlotTensors(again, (1, SIDE, SIDE))))
    frames = frames_of(0)
    scores, maps = expected_answers(frames)
    outputs = ring.collect(ring.submit(frames, EVERY_MAP))
    right = np.array_equal(outputs.scores, scores) and np.array_equal(outputs.anomaly_maps, maps)
    again.close()
    return {"blocks": blocks, "errors": errors, "right_afterwards": bool(right)}


def close(driver):
    """Everything is given back while four batches are under way; then a new driver takes over."""
    shape = (8, 256, 256)
    ring = SlotRing(driver, shape, 4, ByteKernel(SlotTensors(driver, shape), rounds=300))
    warm = [ring.submit(frames_of(seed, 8, 256), EVERY_MAP) for seed in range(4)]
    for ticket in warm:
        ring.collect(ticket)
    for seed in range(4):
        ring.submit(frames_of(seed, 8, 256), EVERY_MAP)
    start = time.monotonic()
    if hasattr(ring, "close"):
        ring.close()
    driver.close()
    seconds = time.monotonic() - start
    again = open_driver()
    other = SlotRing(again, (1, SIDE, SIDE), 1, ByteKernel(SlotTensors(again, (1, SIDE, SIDE))))
    frames = frames_of(1)
    outputs = other.collect(other.submit(frames, EVERY_MAP))
    right = np.array_equal(outputs.anomaly_maps, expected_answers(frames)[1])
    again.close()
    return {"seconds": seconds, "right_afterwards": bool(right)}


@contextlib.contextmanager
def noting(errors):
    """Notes an error of ours with its type; any other goes on."""
    try:
        yield
    except EdgekdError as error:
        errors.append([type(error).__name__, str(error)])


if __name__ == "__main__":
    torch.cuda.init()
    torch.zeros(1, device="cuda")
    driver = open_driver()
    seen = {"fault": fault, "memory": memory, "close": close}[sys.argv[1]](driver)
    start = time.monotonic()
    driver.close()
    seen["close_s"] = time.monotonic() - start
    print(json.dumps(seen), flush=True)
    os._exit(0)  # Torch's own end may stumble over the fault, which is not what is looked at.
