"""Measuring an engine: latency by stage from decoded image to verdict, throughput, share of the device's peak."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.artifact import Manifest
from edgekd.data.images import Image
from edgekd.data.preparing import prepare
from edgekd.engines.base import Engine
from edgekd.errors import EdgekdError
from edgekd.machine.gpu_record import watch_gpu
from edgekd.machine.record import read_cpu
from edgekd.papers.efficiency import compare_efficiency
from edgekd.profiling.bandwidth import CONVENTION, memory_bandwidth
from edgekd.profiling.layer_times import profile_layers
from edgekd.profiling.layers import HOW, ROUNDS, Profile, sum_of_floors, time_over_floor, with_floors
from edgekd.profiling.peak import arithmetic, peak_macs_fp32, peak_macs_int8
from edgekd.profiling.throughput import measure_throughput
from edgekd.profiling.timing import device_record, distribution, repeat_for, summarise
from edgekd.progress import Progress, silent
from edgekd.result import Verdict
from edgekd.runner.pipeline import images_per_batch, inspect_image, whole_batch
from edgekd.runner.reading import default_readers
from edgekd.verdicts.limits import measuring_limits
from edgekd.view import describe

WARM_UP_SECONDS = 1.0
PEAK_METHOD = (
    f"best float32 matrix product of numpy {np.__version__}, and for INT8 graphs a chain of INT8 convolutions in "
    "OpenVINO; before and after the other measurements"
)


def measure_engine(
    engine: Engine,
    artifact: Path,
    manifest: Manifest,
    images: Sequence[Image],
    images_from: str,
    batches: Sequence[int],
    seconds: float,
    progress: Progress = silent,
    readers: int | None = None,
) -> dict[str, Any]:
    """Measures an engine; every figure comes from this run.

    Args:
        engine: The engine to measure.
        artifact: The file that it runs; its layers are timed in another engine, since timing them slows it down.
        manifest: The artifact's.
        images: Decoded, uint8 [H, W, 3] BGR, of any size; taken in turn.
        images_from: What they are, for the record.
        batches: Batch sizes to measure throughput at.
        seconds: How long to measure latency, and each throughput.
        progress: Called as each phase begins and ends.
        readers: Threads that resize while throughput is measured; None for the runner's default.

    Returns:
        The content of `bench --json`: device, engine, latency_ms, latency_distribution, runner_overhead,
        throughput_fps, throughput_fps_engine, overlap, power, macs, peak_share, layers, layers_total_ms, floor_ms,
        time_over_floor, paper.
    """
    # CPUs compute float16 graphs, and what float16 there is around INT8, in float32.
    precision = "int8" if manifest["precision"].startswith("int8") else "fp32"
    on_cpu = engine.spec.threads is not None
    readers = readers or default_readers(engine.spec)
    with _phase(progress, "measuring the peak of the device"):
        peaks = _peaks(precision, {}) if on_cpu else {}
        bandwidth = memory_bandwidth() if on_cpu else None
    rates = {}
    with watch_gpu(engine.spec) as watch:
        with _phase(progress, "measuring latency"):
            stages, overhead = measure_latency(engine, manifest, images, seconds)
        for batch in batches:
            with _phase(progress, f"measuring throughput at batch {batch}"):
                rates[str(batch)] = measure_throughput(engine, images, batch, seconds, readers)
    latency = {stage: summarise(times) for stage, times in stages.items()}
    # Again at the end: on a shared machine one of them may fall into a slow moment, and a share above 1 be reported.
    with _phase(progress, "measuring the peak of the device again"):
        if bandwidth is not None:
            peaks, bandwidth = _peaks(precision, peaks), max(bandwidth, memory_bandwidth())
    with _phase(progress, "measuring layers"):
        profile = profile_layers(artifact, engine.spec, seconds)
    layers = with_floors(profile.layers, peaks, bandwidth) if profile else []
    total_ms = sum(layer["time_ms"] for layer in layers) if profile else None
    floor_ms = sum_of_floors(layers)
    macs = int(manifest["macs"])
    achieved = macs * images_per_batch(engine) / (latency["inference"]["median"] / 1e3)
    return {
        "device": device_record(engine.spec.threads or 0)
        | {
            "gpu": watch.record if watch else None,
            "peak_macs_per_second": peaks,
            "peak_arithmetic": {name: arithmetic(name, read_cpu().int8) for name in peaks},
            "bandwidth_bytes_per_second": bandwidth,
        },
        "engine": _engine_record(engine, manifest),
        "measured": {
            "warm_up_s": WARM_UP_SECONDS,
            "frames": len(stages["end_to_end"]),
            "images": images_from,
            "readers": readers,
            "timed_region": "decoded image to verdict: resize, inference, threshold; decoding is not included",
            "peak": PEAK_METHOD,
            "bandwidth": CONVENTION if bandwidth is not None else None,
            "layers": _layers_method(profile, engine.spec.backend),
        },
        "latency_ms": latency,
        "latency_distribution": distribution(stages["end_to_end"]),
        "runner_overhead": overhead,
        "throughput_fps": {batch: rate.frames_per_second for batch, rate in rates.items()},
        "throughput_fps_engine": {batch: rate.engine_frames_per_second for batch, rate in rates.items()},
        "overlap": {batch: rate.overlap for batch, rate in rates.items()},
        "power": {batch: rate.power for batch, rate in rates.items()},
        "macs": macs,
        "macs_per_second": achieved,
        "peak_share": achieved / peaks[precision] if precision in peaks else None,
        "peak_share_of": precision,
        "layers": layers,
        "layers_batch": profile.batch if profile else None,
        "layers_total_ms": total_ms,
        "floor_ms": floor_ms,
        "time_over_floor": time_over_floor(total_ms, floor_ms),
        "paper": compare_efficiency(manifest, on_cpu),
    }


def _engine_record(engine: Engine, manifest: Manifest) -> dict[str, Any]:
    return asdict(engine.spec) | {
        "slots": engine.slots,
        "cuda_graphs": engine.cuda_graphs,
        "system": manifest["system"],
        "precision": manifest["precision"],
        "trained": manifest.get("trained"),
        "resize": engine.preprocessing.resize,
        "tiles": engine.preprocessing.tiles,
        "view": describe(engine.preprocessing.view),
        "file": manifest["file"],
        "sha256": manifest["sha256"],
    }


def _layers_method(profile: Profile | None, backend: str) -> str:
    """How the layers were timed, for the record."""
    if profile is None:
        return f"not timed on {backend}"
    return HOW[backend].format(rounds=ROUNDS, inferences=profile.inferences)


@contextmanager
def _phase(progress: Progress, name: str) -> Iterator[None]:
    progress(name, 0, 1)
    yield
    progress(name, 1, 1)


def _peaks(precision: str, before: dict[str, float]) -> dict[str, float]:
    """The device's peaks, each the better of this measurement and the one before; INT8's only for an INT8 graph."""
    found = {"fp32": peak_macs_fp32()}
    if precision == "int8" and (int8 := peak_macs_int8()) is not None:
        found["int8"] = int8
    return {name: max(value, before.get(name, 0.0)) for name, value in found.items()}


def measure_latency(
    engine: Engine, manifest: Manifest, images: Sequence[Image], seconds: float
) -> tuple[dict[str, list[float]], float]:
    """Measures the latency of an engine in the runner, after a second of warm-up.

    Args:
        engine: The engine to measure.
        manifest: Its artifact's.
        images: Decoded, uint8 [H, W, 3] BGR, of any size; taken in turn.
        seconds: How long to measure.

    Returns:
        Every frame's milliseconds by stage, and the runner's median end-to-end time over that of its bare parts.
    """
    stages: dict[str, list[float]] = {}
    limits = measuring_limits(manifest, 0.0)
    bare: list[float] = []
    turn = 0

    def bare_parts() -> None:
        start = time.perf_counter()
        frames, _ = prepare(images[turn % len(images)], engine.preprocessing)
        engine.infer(whole_batch(engine, frames))
        bare.append((time.perf_counter() - start) * 1e3)

    def through_runner() -> None:
        result = inspect_image(engine, images[turn % len(images)], limits)
        if result.verdict is Verdict.ERROR:
            raise EdgekdError(f"latency cannot be measured: {result.error}")
        for stage, milliseconds in result.timings.items():
            stages.setdefault(stage, []).append(milliseconds)

    def both() -> None:
        nonlocal turn
        order = (bare_parts, through_runner) if turn % 2 else (through_runner, bare_parts)
        for part in order:
            part()
        turn += 1

    repeat_for(both, WARM_UP_SECONDS)
    bare.clear()
    for times in stages.values():
        times.clear()
    repeat_for(both, seconds, at_least=10)
    overhead = float(np.median(stages["end_to_end"]) / np.median(bare))
    return stages, overhead
