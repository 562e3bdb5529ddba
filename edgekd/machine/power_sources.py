"""What measures power: tegrastats, NVML, RAPL, each as a stream of samples."""

from __future__ import annotations

import abc
import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.errors import EdgekdError
from edgekd.machine.nvml import find_gpu, is_slice, open_nvml, query
from edgekd.machine.tegrastats import parse_tegrastats

INTERVAL_SECONDS = 0.1
LEAST_SECONDS = 0.01  # RAPL counts in steps of a millisecond: a shorter interval is mostly rounding.
END_SECONDS = 2.0  # For tegrastats to exit by itself.


class Sample(NamedTuple):
    """One sample; None where the source does not measure the value."""

    watts: float | None
    celsius: float | None


class Sampler(abc.ABC):
    """Something that measures power, used once.

    Attributes:
        name: What it is, and what it measures.
        skipped: Lines or readings that could not be parsed.
    """

    name: str
    skipped: int = 0

    @abc.abstractmethod
    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        """Samples, ten a second, until `stop` is set or there are no more. Runs in a thread of its own."""

    @abc.abstractmethod
    def end(self) -> None:
        """Releases what is held, and lets `samples` end if it waits. Called from another thread, after `stop`."""


class TegrastatsSampler(Sampler):
    """NVIDIA's tegrastats, run for as long as it is needed: the board's power, or its module's.

    Args:
        program: Its path.
    """

    def __init__(self, program: str) -> None:
        self.name = "tegrastats"
        # In a session of its own, so that it can be killed with whatever it started.
        self._process = subprocess.Popen(
            [program, "--interval", str(round(INTERVAL_SECONDS * 1000))],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if stop.is_set() or not line.endswith("\n"):  # It was ended in the middle of the line.
                return
            try:
                stats = parse_tegrastats(line)
            except EdgekdError:
                self.skipped += 1
                continue
            total = stats.total_milliwatts
            yield Sample(None if total is None else total / 1000, stats.highest_celsius)

    def end(self) -> None:
        try:
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)
        finally:  # For what does not exit by itself, or a second Ctrl-C in between.
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


class NvmlSampler(Sampler):
    """NVIDIA's management library: the power and temperature of one GPU, without the rest of the machine.

    Args:
        nvml: The module pynvml, initialised.
        gpu: Its handle of the GPU.
        name: Of the GPU.
    """

    def __init__(self, nvml: Any, gpu: Any, name: str) -> None:
        self.name = f"NVML, {name}"
        self._nvml = nvml
        self._gpu = gpu

    @classmethod
    def open(cls, uuid: str) -> NvmlSampler | None:
        """The sampler of a GPU.

        Args:
            uuid: As CUDA reports it; "" where it is unknown: then the machine's only GPU.

        Returns:
            None where nvidia-ml-py, the NVIDIA driver or the GPU is missing, or where it is a slice of one (MIG): NVML
            measures the power of the whole, which others use too.
        """
        nvml = open_nvml()
        if nvml is None:
            return None
        gpu = find_gpu(nvml, uuid)
        if gpu is None or is_slice(nvml, gpu):
            nvml.nvmlShutdown()
            return None
        return cls(nvml, gpu, uuid or "the only GPU")

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        stopped = False
        while not stopped:  # And once more at the end, so that a short block has a sample too.
            stopped = stop.wait(INTERVAL_SECONDS)
            milliwatts = query(self._nvml, "nvmlDeviceGetPowerUsage", self._gpu)
            celsius = query(self._nvml, "nvmlDeviceGetTemperature", self._gpu, self._nvml.NVML_TEMPERATURE_GPU)
            yield Sample(None if milliwatts is None else milliwatts / 1000, None if celsius is None else float(celsius))

    def end(self) -> None:
        """Does nothing: NVML stays open, since the thread may still be calling it."""


class RaplSampler(Sampler):
    """The CPU packages' own energy counters, from the kernel's powercap: without memory, disk and fans.

    Args:
        packages: The folders of the packages' counters.
    """

    name = "RAPL, CPU packages"

    def __init__(self, packages: list[Path]) -> None:
        self._packages = packages
        self._range = [int((package / "max_energy_range_uj").read_text()) for package in packages]
        self._last = self._read()

    @classmethod
    def open(cls, powercap: Path) -> RaplSampler | None:
        """None where there are no counters, or none that this user may read.

        Args:
            powercap: The kernel's folder of them.
        """
        try:
            domains = sorted(powercap.glob("intel-rapl:*"))
            packages = [domain for domain in domains if (domain / "name").read_text().startswith("package")]
            return cls(packages) if packages else None
        except (OSError, ValueError):  # On most systems only root may read them.
            return None

    def samples(self, stop: threading.Event) -> Iterator[Sample]:
        stopped = False
        while not stopped:
            stopped = stop.wait(INTERVAL_SECONDS)
            try:
                (before, then), (now, counters) = self._last, self._read()
            except (OSError, ValueError):
                return
            if now - before < LEAST_SECONDS:
                continue
            self._last = now, counters
            # A counter that reaches its range starts again at 0.
            joules = sum((new - old) % (span + 1) for new, old, span in zip(counters, then, self._range, strict=True))
            yield Sample(joules / 1e6 / (now - before), None)

    def end(self) -> None:
        """Does nothing: files are opened for each sample."""

    def _read(self) -> tuple[float, list[int]]:
        counters = [int((package / "energy_uj").read_text()) for package in self._packages]
        return time.perf_counter(), counters
