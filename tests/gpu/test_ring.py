"""The ring with a real kernel: the deployed network in torch, on the ring's own streams."""

import numpy as np
import pytest

from edgekd.engines import EVERY_MAP
from edgekd.engines.cuda import open_driver
from edgekd.engines.cuda.ring import SlotRing
from edgekd.graph.frames import FrameNetwork
from edgekd.graph.parity import torch_outputs
from edgekd.graph.rewrites import rewrite
from edgekd.models.registry import find_system

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.gpu
SIDE = 64


class DeviceArray:
    """Device memory as torch takes it without copying."""

    def __init__(self, address, shape, kind):
        self.__cuda_array_interface__ = {"data": (address, False), "shape": shape, "typestr": kind, "version": 3}


def on_device(address, shape, kind):
    return torch.as_tensor(DeviceArray(address, shape, kind), device="cuda")


@pytest.fixture
def detector():
    torch.manual_seed(0)
    return find_system("hkt").detector(SIDE).eval()


@pytest.mark.parametrize("slots", [1, 4])
def test_the_deployed_network_says_through_the_ring_what_it_says_on_the_cpu(gpu, detector, slots):
    network = rewrite(FrameNetwork(detector.deployed())).eval().cuda()
    frames = np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE, 3), np.uint8)
    driver = open_driver()
    try:

        def compute(slot, count):
            with torch.inference_mode(), torch.cuda.stream(torch.cuda.ExternalStream(driver.address_of(slot.stream))):
                scores, maps = network(on_device(slot.addresses["frames"], (count, SIDE, SIDE, 3), "|u1"))
                on_device(slot.addresses["score"], (count,), "<f4").copy_(scores)
                on_device(slot.addresses["anomaly_map"], (count, SIDE, SIDE), "<f4").copy_(maps)

        # Torch takes memory while it computes, which a plain capture does not allow.
        ring = SlotRing(driver, (1, SIDE, SIDE), slots, compute, capture=False)
        scores, maps = torch_outputs(detector, frames)
        spread = float(np.ptp(maps))
        tickets = []
        answers = []
        for frame in frames:
            if len(tickets) == slots:
                answers.append(ring.collect(tickets.pop(0)))
            tickets.append(ring.submit(frame[None], EVERY_MAP))
        answers += [ring.collect(ticket) for ticket in tickets]
    finally:
        driver.close()
    for index, outputs in enumerate(answers):
        # TF32 in cuDNN's convolutions keeps ten bits.
        assert np.abs(outputs.anomaly_maps[0] - maps[index]).max() < 2e-2 * spread
        assert abs(outputs.scores[0] - scores[index]) < 2e-2 * spread
        assert outputs.timings["gpu_compute"] > 0
