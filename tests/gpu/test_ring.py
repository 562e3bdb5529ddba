"""The ring with real kernels on its own streams, captured: bit for bit, and overlapping."""

import numpy as np
import pytest
from gpu_kernels import ByteKernel, SlotTensors, expected_answers
from gpu_streams import keep_busy, stream_random_batches, uncaptured_reason

from edgekd.engines import EVERY_MAP
from edgekd.engines.cuda.ring import SlotRing

pytestmark = pytest.mark.gpu
SIDE, LARGEST, POOL = 64, 8, 256


def make_ring(driver, shape, slots, rounds=0, capture=True):
    return SlotRing(driver, shape, slots, ByteKernel(SlotTensors(driver, shape), rounds), capture=capture)


def random_frames(count, side):
    return np.random.default_rng(count).integers(0, 256, (count, side, side, 3), np.uint8)


@pytest.mark.parametrize(
    ("slots", "capture", "total"),
    [(4, True, 10_000), (1, True, 2_000), (4, False, 2_000)],
    ids=["captured", "captured_one_slot", "uncaptured"],
)
def test_frames_in_batches_of_random_sizes_come_out_bit_for_bit(opened_driver, slots, capture, total, record_property):
    ring = make_ring(opened_driver, (LARGEST, SIDE, SIDE), slots, capture=capture)
    frames = random_frames(POOL, SIDE)
    counts = stream_random_batches(ring, frames, expected_answers(frames), total, LARGEST, np.random.default_rng(slots))
    for name, count in counts.items():
        record_property(name, count)
    if capture and opened_driver.graphs:
        assert uncaptured_reason(ring) is None
    else:
        assert all(slot.graph is None for slot in ring.slots)


def test_a_captured_kernel_replays_with_what_the_memory_holds_by_then(opened_driver):
    if not opened_driver.graphs:
        pytest.skip(f"{opened_driver.package} has no graphs")
    ring = make_ring(opened_driver, (1, SIDE, SIDE), 1)
    for frames in random_frames(5, SIDE)[:, None]:
        scores, maps = expected_answers(frames)
        outputs = ring.collect(ring.submit(frames, EVERY_MAP))
        assert np.array_equal(outputs.scores, scores)
        assert np.array_equal(outputs.anomaly_maps, maps)
    assert uncaptured_reason(ring) is None


def test_four_slots_overlap_copies_and_computing(opened_driver, record_property):
    side, batch, rounds, batches = 256, 8, 150, 200
    frames = random_frames(batch, side)
    figures = {}
    for slots in (1, 4, 1, 4):  # In turn, so that clocks that rise do not make the difference.
        ring = make_ring(opened_driver, (batch, side, side), slots, rounds)
        keep_busy(ring, frames, 10)
        figures[slots] = keep_busy(ring, frames, batches)
    for slots, (rate, overlap) in figures.items():
        record_property(f"slots_{slots}_frames_per_second", rate)
        record_property(f"slots_{slots}_overlap", overlap)
    assert figures[4][1] > 1
    assert figures[4][0] > 0.9 * figures[1][0]


def test_every_stage_of_the_device_is_timed(opened_driver):
    ring = make_ring(opened_driver, (LARGEST, SIDE, SIDE), 1, rounds=10)
    timings = ring.collect(ring.submit(random_frames(LARGEST, SIDE), EVERY_MAP)).timings
    assert set(timings) >= {"enqueue", "h2d", "gpu_compute", "d2h"}
    assert all(value > 0 for value in timings.values())
    assert sum(timings.values()) < 10_000
