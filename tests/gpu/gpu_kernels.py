"""Kernels by torch on the memory and the streams of a ring; they allocate nothing, so that they can be captured."""

import numpy as np
import torch


class DeviceArray:
    """Device memory as torch takes it without copying."""

    def __init__(self, address, shape, kind):
        self.__cuda_array_interface__ = {"data": (address, False), "shape": shape, "typestr": kind, "version": 3}


def on_device(address, shape, kind):
    return torch.as_tensor(DeviceArray(address, shape, kind), device="cuda")


class SlotTensors:
    """Frames, scores and maps of every slot as tensors, and its stream; made once a slot.

    Args:
        driver: Of the ring.
        shape: Largest batch, height, width.
    """

    def __init__(self, driver, shape):
        self._driver, self._shape = driver, shape
        self._made = {}

    def of(self, slot):
        if slot.index not in self._made:
            batch, height, width = self._shape
            self._made[slot.index] = (
                on_device(slot.addresses["frames"], (batch, height, width, 3), "|u1"),
                on_device(slot.addresses["score"], (batch,), "<f4"),
                on_device(slot.addresses["anomaly_map"], (batch, height, width), "<f4"),
                torch.cuda.ExternalStream(self._driver.address_of(slot.stream)),
            )
        return self._made[slot.index]


class ByteKernel:
    """A pixel's map is its three bytes as one number, which float32 holds exactly; a score is the middle pixel's.

    Args:
        tensors: Of the ring's slots.
        rounds: How often 1 is added to the map and taken away again, to take time.
    """

    def __init__(self, tensors, rounds=0):
        self._tensors, self._rounds = tensors, rounds

    def __call__(self, slot, count):
        frames, scores, maps, stream = self._tensors.of(slot)
        with torch.inference_mode(), torch.cuda.stream(stream):
            write_answers(frames[:count], scores[:count], maps[:count], self._rounds)


def write_answers(frames, scores, maps, rounds=0):
    """What ByteKernel computes, in place."""
    maps.copy_(frames[..., 0])
    for channel in (1, 2):
        maps.mul_(256.0).add_(frames[..., channel])
    for _ in range(rounds):
        maps.add_(1.0)
        maps.sub_(1.0)
    scores.copy_(maps[:, maps.shape[1] // 2, maps.shape[2] // 2])


def expected_answers(frames):
    """The same on the CPU, by NumPy: scores [N] and maps [N, H, W]."""
    blue, green, red = (frames[..., channel].astype(np.float32) for channel in range(3))
    maps = (blue * 256 + green) * 256 + red
    return maps[:, maps.shape[1] // 2, maps.shape[2] // 2].copy(), maps
