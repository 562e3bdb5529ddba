"""Power and temperature while something runs, from whatever this machine measures them with."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekd.machine.power_sources import (
    NvmlSampler,
    RaplSampler,
    Sample,
    Sampler,
    TegrastatsSampler,
)

POWERCAP = Path("/sys/class/powercap")
JOIN_SECONDS = 5.0


@dataclass
class PowerReading:
    """What was measured; all but `source` is set only after the block.

    Attributes:
        source: What measured, and what it measures; None where nothing can. NVML knows the GPU alone and RAPL the CPU
            alone, so figures of different sources are not to be compared.
        mean_watts: Over the samples, each weighted by the time it stands for; None without any.
        peak_watts: The highest sample; a sample is what the source averages over a tenth of a second or less.
        joules: Mean power times the time that the block took.
        highest_celsius: The hottest zone's highest sample; None where the source knows no temperature.
        samples: How many there were.
        skipped: Lines of tegrastats that could not be parsed.
    """

    source: str | None = None
    mean_watts: float | None = None
    peak_watts: float | None = None
    joules: float | None = None
    highest_celsius: float | None = None
    samples: int = 0
    skipped: int = 0

    def joules_per_frame(self, frames: int) -> float | None:
        """Energy a frame; None where power is not measured or no frame was done.

        Args:
            frames: How many were inspected in the block.
        """
        return self.joules / frames if self.joules is not None and frames > 0 else None


@contextlib.contextmanager
def measure_power(gpu_uuid: str | None = None) -> Iterator[PowerReading]:
    """Samples power and temperature for as long as the block runs.

    Args:
        gpu_uuid: UUID of the NVIDIA GPU that computes, as CUDA reports it; "" where its UUID is unknown; None where
            none computes: the power of a GPU that idles meanwhile is not measured.

    Yields:
        The reading, to be read after the block; its `source` is None where nothing on this machine measures power.
    """
    with measure_by(find_sampler(gpu_uuid=gpu_uuid)) as reading:
        yield reading


def find_sampler(
    tegrastats: str = "tegrastats", powercap: Path = POWERCAP, gpu_uuid: str | None = None
) -> Sampler | None:
    """What measures the power of what computes: tegrastats on a Jetson, else NVML for a GPU, else RAPL for a CPU.

    Args:
        tegrastats: The program.
        powercap: The folder of the kernel's RAPL counters.
        gpu_uuid: See `measure_power`.

    Returns:
        None where there is none of them, or none that this user may read. The CPU's power never stands in for a GPU's.
    """
    if (program := shutil.which(tegrastats)) is not None:
        return TegrastatsSampler(program)
    return RaplSampler.open(powercap) if gpu_uuid is None else NvmlSampler.open(gpu_uuid)


@contextlib.contextmanager
def measure_by(sampler: Sampler | None) -> Iterator[PowerReading]:
    """Samples with a given sampler for as long as the block runs, and ends it however the block exits.

    Args:
        sampler: Used up by this; None measures nothing.

    Yields:
        The reading, to be read after the block.
    """
    if sampler is None:
        yield PowerReading()
        return
    reading = PowerReading(source=sampler.name)
    taken: list[tuple[float, Sample]] = []
    stop = threading.Event()

    def collect() -> None:
        last = time.perf_counter()
        for sample in sampler.samples(stop):
            now = time.perf_counter()
            taken.append((now - last, sample))
            last = now

    thread = threading.Thread(target=collect, name="power", daemon=True)
    start = time.perf_counter()
    try:
        thread.start()
        yield reading
    finally:
        seconds = time.perf_counter() - start
        stop.set()
        try:
            sampler.end()
        finally:
            thread.join(JOIN_SECONDS)
            _summarise(reading, list(taken), seconds)
            reading.skipped = sampler.skipped


def _summarise(reading: PowerReading, taken: list[tuple[float, Sample]], seconds: float) -> None:
    reading.samples = len(taken)
    reading.highest_celsius = max((sample.celsius for _, sample in taken if sample.celsius is not None), default=None)
    watts = [(weight, sample.watts) for weight, sample in taken if sample.watts is not None]
    weights = sum(weight for weight, _ in watts)
    if weights > 0:
        reading.mean_watts = sum(weight * value for weight, value in watts) / weights
        reading.peak_watts = max(value for _, value in watts)
        reading.joules = reading.mean_watts * seconds
