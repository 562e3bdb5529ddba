"""Streaming frames through a ring in ways that a station has, and looking at every answer."""

import time

import numpy as np

from edgekd.engines import EVERY_MAP, NO_MAP

DEVICE_STAGES = ("h2d", "gpu_compute", "d2h")


def stream_random_batches(ring, frames, answers, total, largest, random):
    """Streams frames in batches of random sizes, acquired and not, collected in any order.

    Args:
        ring: To stream through.
        frames: uint8 [M, H, W, 3], drawn from by chance.
        answers: Scores [M] and maps [M, H, W] that they must give, bit for bit.
        total: Frames to stream at least.
        largest: Batch.
        random: A generator of NumPy.

    Returns:
        How many frames and batches were streamed.
    """
    scores, maps = answers
    under_way = []
    done = batches = 0

    def collect():
        ticket, chosen, above = under_way.pop(int(random.integers(len(under_way))))
        outputs = ring.collect(ticket)
        assert np.array_equal(outputs.scores, scores[chosen])
        wanted = above == EVERY_MAP or bool((scores[chosen] > above).any())
        assert np.array_equal(outputs.anomaly_maps, maps[chosen if wanted else chosen[:0]])

    while done < total:
        count = int(random.integers(1, largest + 1))
        chosen = random.integers(len(frames), size=count)
        above = (EVERY_MAP, NO_MAP, float(np.median(scores)))[int(random.integers(3))]
        if len(under_way) == len(ring.slots):
            collect()
        batch = frames[chosen]
        if random.random() < 0.5:
            acquired = ring.acquire(count)
            acquired[:] = batch
            batch = acquired
        under_way.append((ring.submit(batch, above), chosen, above))
        done, batches = done + count, batches + 1
    while under_way:
        collect()
    return {"frames": done, "batches": batches}


def keep_busy(ring, frames, batches):
    """Keeps all slots busy with one batch of frames.

    Returns:
        Frames a second; and the device's copies and computing of all slots over the time that went by.
    """
    tickets = []
    device = 0.0
    start = time.perf_counter()
    for _ in range(batches):
        if len(tickets) == len(ring.slots):
            timings = ring.collect(tickets.pop(0)).timings
            device += sum(timings[stage] for stage in DEVICE_STAGES)
        acquired = ring.acquire(len(frames))
        acquired[:] = frames
        tickets.append(ring.submit(acquired, NO_MAP))
    for ticket in tickets:
        device += sum(ring.collect(ticket).timings[stage] for stage in DEVICE_STAGES)
    elapsed = time.perf_counter() - start
    return batches * len(frames) / elapsed, device / 1e3 / elapsed


def uncaptured_reason(ring):
    """Why a ring's slots run without graphs; None where those that were used all replay one."""
    if any(slot.captured and slot.graph is None for slot in ring.slots):
        return getattr(ring, "why_no_graphs", None) or "a capture failed; the ring keeps no reason"
    return None if any(slot.graph is not None for slot in ring.slots) else "no slot was captured"
