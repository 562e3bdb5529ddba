"""The record that a timing on a GPU needs: the GPU, its driver, clocks and power mode, and whether it was throttled.

An NVIDIA GPU is found by the UUID that CUDA reports, so it is the one that computed, under CUDA_VISIBLE_DEVICES too.
"""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from edgekd.engines.base import EngineSpec
from edgekd.engines.runtimes import import_openvino
from edgekd.engines.tensorrt.flavours import JETSONS
from edgekd.machine import jetson_gpu, nvml
from edgekd.machine.jetpack import find_jetpack, read_l4t

INTERVAL_SECONDS = 0.1
JOIN_SECONDS = 5.0
# Fields of the record; None where a value is unknown, or where the GPU has no such thing.
FIELDS = (
    "name",
    "uuid",
    "index",
    "driver",
    "cuda",
    "compute_capability",
    "memory_bytes",
    "clocks_mhz",
    "power_limit_watts",
    "persistence",
    "power_mode",
    "l4t",
    "jetpack",
    "highest_celsius",
    "throttling",
    "clock_settings",
    "samples",
)
OPENVINO_PROPERTIES = {
    "driver": "NPU_DRIVER_VERSION",
    "memory_bytes": "{device}_DEVICE_TOTAL_MEM_SIZE",
}


class GpuSample(NamedTuple):
    """One sample of a GPU's state; None where the GPU does not report a value.

    Attributes:
        sm_mhz, memory_mhz: Clocks.
        celsius: Temperature.
        throttling: Reasons why it is throttled, as text.
        settings: What else keeps its clocks below their maximum, as text.
    """

    sm_mhz: int | None = None
    memory_mhz: int | None = None
    celsius: float | None = None
    throttling: tuple[str, ...] | None = None
    settings: tuple[str, ...] = ()


class Places(NamedTuple):
    """Where a Jetson keeps its state; others than the defaults are for tests.

    Attributes:
        etc: The system's settings.
        proc: The kernel's view of processes.
        sys_folder: The kernel's view of devices.
        nvpmodel: The program that reports the power mode.
    """

    etc: Path = Path("/etc")
    proc: Path = Path("/proc")
    sys_folder: Path = Path("/sys")
    nvpmodel: str = "nvpmodel"


class GpuWatch:
    """A GPU that is watched while it is measured.

    Args:
        spec: Of the engine that it runs.
        places: Where a Jetson keeps its state.
    """

    def __init__(self, spec: EngineSpec, places: Places) -> None:
        self.record: dict[str, Any] = dict.fromkeys(FIELDS) | {
            "name": spec.device,
            "uuid": spec.gpu_uuid,
            "index": spec.gpu_index,
        }
        self._sys = places.sys_folder
        self._nvml: Any = None
        self._gpu: Any = None
        self._clock_limits: dict[str, int | None] = {"sm": None, "memory": None}
        self._is_jetson = False
        if spec.backend.startswith("openvino:"):
            self.record |= openvino_fields(spec.backend.partition(":")[2].upper())
            return
        self._is_jetson = read_l4t(places.etc) is not None
        if self._is_jetson:
            self.record |= _jetson_fields(places)
        self._nvml = nvml.open_nvml()
        if self._nvml is not None and (found := nvml.find_gpu(self._nvml, spec.gpu_uuid or "")) is not None:
            self._gpu = nvml.whole_gpu(self._nvml, found)
            self.record |= {name: value for name, value in self._nvml_fields(found).items() if value is not None}
        self._events = jetson_gpu.over_current_events(self._sys) if self._is_jetson else {}
        self._clock_limits = self._limits()

    def sample(self) -> GpuSample:
        """Reads the state once: from NVML, and on a Jetson from the kernel where NVML has no value."""
        sample = self._nvml_sample() if self._gpu is not None else GpuSample()
        if not self._is_jetson:
            return sample
        sm, memory = jetson_gpu.gpu_clock(self._sys), jetson_gpu.memory_clock(self._sys)
        hot = tuple(f"temperature ({part})" for part in jetson_gpu.thermal_alerts(self._sys))
        return GpuSample(
            sample.sm_mhz if sample.sm_mhz is not None or sm is None else sm.now,
            sample.memory_mhz if sample.memory_mhz is not None or memory is None else memory.now,
            sample.celsius if sample.celsius is not None else jetson_gpu.gpu_celsius(self._sys),
            (sample.throttling or ()) + hot,
            sample.settings,
        )

    def summarise(self, before: GpuSample, samples: list[GpuSample]) -> None:
        """Completes the record.

        Args:
            before: A sample from before the measurement.
            samples: Those taken during it.
        """
        clocks = {
            name: _clock_summary(
                getattr(before, f"{name}_mhz"), [getattr(each, f"{name}_mhz") for each in samples], most
            )
            for name, most in self._clock_limits.items()
        }
        reporting = [each for each in samples if each.throttling is not None]
        self.record |= {
            "clocks_mhz": clocks if any(clocks.values()) else None,
            "highest_celsius": max((each.celsius for each in samples if each.celsius is not None), default=None),
            "throttling": [*_shares(reporting), *self._new_events()] if reporting else None,
            "clock_settings": sorted({word for each in samples for word in each.settings}) if reporting else None,
            "samples": len(samples),
        }

    def close(self) -> None:
        """Releases NVML."""
        if self._nvml is not None:
            nvml.query(self._nvml, "nvmlShutdown")

    def _nvml_fields(self, found: Any) -> dict[str, Any]:
        """What NVML reports and does not change; `found` may be a slice of the GPU (MIG), whose memory is its own."""
        query, library, gpu = nvml.query, self._nvml, self._gpu
        cuda = query(library, "nvmlSystemGetCudaDriverVersion")
        capability = query(library, "nvmlDeviceGetCudaComputeCapability", gpu)
        memory = query(library, "nvmlDeviceGetMemoryInfo", found)
        limit = query(library, "nvmlDeviceGetEnforcedPowerLimit", gpu)
        persistence = query(library, "nvmlDeviceGetPersistenceMode", gpu)
        return {
            "name": query(library, "nvmlDeviceGetName", gpu),
            "uuid": query(library, "nvmlDeviceGetUUID", found),
            "driver": query(library, "nvmlSystemGetDriverVersion"),
            "cuda": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
            "compute_capability": None if capability is None else f"{capability[0]}.{capability[1]}",
            "memory_bytes": None if memory is None else int(memory.total),
            "power_limit_watts": None if limit is None else limit / 1000,
            "persistence": None if persistence is None else bool(persistence),
        }

    def _nvml_sample(self) -> GpuSample:
        query, library, gpu = nvml.query, self._nvml, self._gpu
        reasons = nvml.clock_reasons(library, gpu)
        celsius = query(library, "nvmlDeviceGetTemperature", gpu, library.NVML_TEMPERATURE_GPU)
        return GpuSample(
            query(library, "nvmlDeviceGetClockInfo", gpu, library.NVML_CLOCK_SM),
            query(library, "nvmlDeviceGetClockInfo", gpu, library.NVML_CLOCK_MEM),
            None if celsius is None else float(celsius),
            None if reasons is None else nvml.reason_names(reasons, nvml.THROTTLING),
            () if reasons is None else nvml.reason_names(reasons, nvml.SETTINGS),
        )

    def _limits(self) -> dict[str, int | None]:
        """The maximum of each clock, in MHz."""
        limits: dict[str, int | None] = {"sm": None, "memory": None}
        if self._gpu is not None:
            for name, clock in (("sm", self._nvml.NVML_CLOCK_SM), ("memory", self._nvml.NVML_CLOCK_MEM)):
                limits[name] = nvml.query(self._nvml, "nvmlDeviceGetMaxClockInfo", self._gpu, clock)
        if self._is_jetson:
            clocks = {"sm": jetson_gpu.gpu_clock(self._sys), "memory": jetson_gpu.memory_clock(self._sys)}
            limits = {name: limits[name] or (clock.highest if clock else None) for name, clock in clocks.items()}
        return limits

    def _new_events(self) -> list[str]:
        """How often a Jetson's power supply throttled it since the watch began."""
        if not self._is_jetson:
            return []
        now = jetson_gpu.over_current_events(self._sys)
        new = {name: count - self._events.get(name, 0) for name, count in now.items()}
        return [f"{name} ({count} times)" for name, count in new.items() if count > 0]


@contextlib.contextmanager
def watch_gpu(spec: EngineSpec, places: Places = Places()) -> Iterator[GpuWatch | None]:  # noqa: B008
    """Watches the GPU of an engine, ten times a second, for as long as the block runs.

    Args:
        spec: Of the engine.
        places: Where a Jetson keeps its state.

    Yields:
        The watch, whose `record` is complete after the block; None for an engine that computes on the CPU.
    """
    if spec.threads is not None:
        yield None
        return
    watch = GpuWatch(spec, places)
    before, samples, stop = watch.sample(), list[GpuSample](), threading.Event()

    def collect() -> None:
        stopped = False
        while not stopped:  # And once more at the end, so that a short block has a sample too.
            stopped = stop.wait(INTERVAL_SECONDS)
            samples.append(watch.sample())

    thread = threading.Thread(target=collect, name="gpu record", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)
        watch.summarise(before, list(samples))
        watch.close()


def openvino_fields(device: str) -> dict[str, Any]:
    """What OpenVINO reports about a device.

    Args:
        device: "GPU" or "NPU".
    """
    openvino = import_openvino()

    core, fields = openvino.Core(), {}
    for field, name in OPENVINO_PROPERTIES.items():
        with contextlib.suppress(RuntimeError):  # Each device has properties of its own.
            value = core.get_property(device, name.format(device=device))
            fields[field] = int(value) if field == "memory_bytes" else str(value)
    return fields


def _jetson_fields(places: Places) -> dict[str, Any]:
    l4t = read_l4t(places.etc)
    jetpack = find_jetpack(l4t) if l4t else None
    model = _text(places.sys_folder / "firmware" / "devicetree" / "base" / "model").rstrip("\0\n")
    memory = [line.split()[1] for line in _text(places.proc / "meminfo").splitlines() if line.startswith("MemTotal:")]
    known = [capability for capability, board in JETSONS.items() if board.rpartition(" ")[2] in model]
    return {
        "compute_capability": known[0] if known else None,
        "cuda": jetpack.cuda if jetpack else None,
        "memory_bytes": int(memory[0]) * 1024 if memory else None,  # The GPU has none of its own.
        "power_mode": jetson_gpu.power_mode(places.nvpmodel),
        "l4t": l4t,
        "jetpack": jetpack.release if jetpack else None,
    }


def _clock_summary(before: int | None, samples: list[int | None], highest: int | None) -> dict[str, int | None] | None:
    """A clock in MHz: before the measurement, its lowest and highest value during it, and its limit."""
    known = [clock for clock in samples if clock is not None]
    if before is None and not known:
        return None
    return {"before": before, "min": min(known, default=None), "max": max(known, default=None), "limit": highest}


def _shares(samples: list[GpuSample]) -> list[str]:
    """Why the GPU was throttled, and in how many samples."""
    counts = Counter(word for each in samples for word in each.throttling or ())
    return [f"{word} (in {count / len(samples):.0%} of {len(samples)} samples)" for word, count in counts.most_common()]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
