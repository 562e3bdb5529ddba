"""What a timing on a GPU must be read with: the GPU, its driver, its clocks and power mode, and whether it was slowed
down while it was measured.

A GPU of NVIDIA is found by the UUID that CUDA tells, so it is the one that computed, under CUDA_VISIBLE_DEVICES too.
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
# Of the record; each is None where it is not known, or where the GPU has no such thing.
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
    "looks",
)
OPENVINO_PROPERTIES = {
    "driver": "NPU_DRIVER_VERSION",
    "memory_bytes": "{device}_DEVICE_TOTAL_MEM_SIZE",
}


class Look(NamedTuple):
    """One look at a GPU; None is what it did not tell.

    Attributes:
        sm_mhz, memory_mhz: Clocks.
        celsius: Temperature.
        slowed: Why it is slowed down, in words.
        settings: What else keeps its clocks from their highest, in words.
    """

    sm_mhz: int | None = None
    memory_mhz: int | None = None
    celsius: float | None = None
    slowed: tuple[str, ...] | None = None
    settings: tuple[str, ...] = ()


class Places(NamedTuple):
    """Where a Jetson is looked at; others than the defaults are for tests.

    Attributes:
        etc: The system's settings.
        proc: The kernel's view of processes.
        sys_folder: The kernel's view of devices.
        nvpmodel: The program that tells the power mode.
    """

    etc: Path = Path("/etc")
    proc: Path = Path("/proc")
    sys_folder: Path = Path("/sys")
    nvpmodel: str = "nvpmodel"


class GpuWatch:
    """A GPU that is watched while it is measured.

    Args:
        spec: Of the engine that it runs.
        places: Where a Jetson is looked at.
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

    def look(self) -> Look:
        """Looks once: NVML's answers, and on a Jetson the kernel's where NVML has none."""
        look = self._nvml_look() if self._gpu is not None else Look()
        if not self._is_jetson:
            return look
        sm, memory = jetson_gpu.gpu_clock(self._sys), jetson_gpu.memory_clock(self._sys)
        hot = tuple(f"temperature ({part})" for part in jetson_gpu.thermal_alerts(self._sys))
        return Look(
            look.sm_mhz if look.sm_mhz is not None or sm is None else sm.now,
            look.memory_mhz if look.memory_mhz is not None or memory is None else memory.now,
            look.celsius if look.celsius is not None else jetson_gpu.gpu_celsius(self._sys),
            (look.slowed or ()) + hot,
            look.settings,
        )

    def summarise(self, before: Look, looks: list[Look]) -> None:
        """Completes the record.

        Args:
            before: A look before the measuring.
            looks: Those while it was measured.
        """
        clocks = {
            name: _clock_summary(getattr(before, f"{name}_mhz"), [getattr(look, f"{name}_mhz") for look in looks], most)
            for name, most in self._clock_limits.items()
        }
        told = [look for look in looks if look.slowed is not None]
        self.record |= {
            "clocks_mhz": clocks if any(clocks.values()) else None,
            "highest_celsius": max((look.celsius for look in looks if look.celsius is not None), default=None),
            "throttling": [*_shares(told), *self._new_events()] if told else None,
            "clock_settings": sorted({word for look in looks for word in look.settings}) if told else None,
            "looks": len(looks),
        }

    def close(self) -> None:
        """Lets go of NVML."""
        if self._nvml is not None:
            nvml.ask(self._nvml, "nvmlShutdown")

    def _nvml_fields(self, found: Any) -> dict[str, Any]:
        """What NVML tells once; `found` may be a slice of the GPU (MIG), whose memory is its own."""
        ask, library, gpu = nvml.ask, self._nvml, self._gpu
        cuda = ask(library, "nvmlSystemGetCudaDriverVersion")
        capability = ask(library, "nvmlDeviceGetCudaComputeCapability", gpu)
        memory = ask(library, "nvmlDeviceGetMemoryInfo", found)
        limit = ask(library, "nvmlDeviceGetEnforcedPowerLimit", gpu)
        persistence = ask(library, "nvmlDeviceGetPersistenceMode", gpu)
        return {
            "name": ask(library, "nvmlDeviceGetName", gpu),
            "uuid": ask(library, "nvmlDeviceGetUUID", found),
            "driver": ask(library, "nvmlSystemGetDriverVersion"),
            "cuda": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
            "compute_capability": None if capability is None else f"{capability[0]}.{capability[1]}",
            "memory_bytes": None if memory is None else int(memory.total),
            "power_limit_watts": None if limit is None else limit / 1000,
            "persistence": None if persistence is None else bool(persistence),
        }

    def _nvml_look(self) -> Look:
        ask, library, gpu = nvml.ask, self._nvml, self._gpu
        reasons = nvml.clock_reasons(library, gpu)
        celsius = ask(library, "nvmlDeviceGetTemperature", gpu, library.NVML_TEMPERATURE_GPU)
        return Look(
            ask(library, "nvmlDeviceGetClockInfo", gpu, library.NVML_CLOCK_SM),
            ask(library, "nvmlDeviceGetClockInfo", gpu, library.NVML_CLOCK_MEM),
            None if celsius is None else float(celsius),
            None if reasons is None else nvml.words_of(reasons, nvml.SLOWDOWNS),
            () if reasons is None else nvml.words_of(reasons, nvml.SETTINGS),
        )

    def _limits(self) -> dict[str, int | None]:
        """The highest that each clock may be, in MHz."""
        limits: dict[str, int | None] = {"sm": None, "memory": None}
        if self._gpu is not None:
            for name, clock in (("sm", self._nvml.NVML_CLOCK_SM), ("memory", self._nvml.NVML_CLOCK_MEM)):
                limits[name] = nvml.ask(self._nvml, "nvmlDeviceGetMaxClockInfo", self._gpu, clock)
        if self._is_jetson:
            clocks = {"sm": jetson_gpu.gpu_clock(self._sys), "memory": jetson_gpu.memory_clock(self._sys)}
            limits = {name: limits[name] or (clock.highest if clock else None) for name, clock in clocks.items()}
        return limits

    def _new_events(self) -> list[str]:
        """What a Jetson's power supply slowed down since the watch began."""
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
        places: Where a Jetson is looked at.

    Yields:
        The watch, whose `record` is complete after the block; None for an engine that computes on the CPU.
    """
    if spec.threads is not None:
        yield None
        return
    watch = GpuWatch(spec, places)
    before, looks, stop = watch.look(), list[Look](), threading.Event()

    def collect() -> None:
        stopped = False
        while not stopped:  # And once more at the end, so that a short block has a look too.
            stopped = stop.wait(INTERVAL_SECONDS)
            looks.append(watch.look())

    thread = threading.Thread(target=collect, name="gpu record", daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join(JOIN_SECONDS)
        watch.summarise(before, list(looks))
        watch.close()


def openvino_fields(device: str) -> dict[str, Any]:
    """What OpenVINO tells of a device of its own.

    Args:
        device: "GPU" or "NPU".
    """
    openvino = import_openvino()

    core, told = openvino.Core(), {}
    for field, name in OPENVINO_PROPERTIES.items():
        with contextlib.suppress(RuntimeError):  # Each device has properties of its own.
            value = core.get_property(device, name.format(device=device))
            told[field] = int(value) if field == "memory_bytes" else str(value)
    return told


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


def _clock_summary(before: int | None, looks: list[int | None], highest: int | None) -> dict[str, int | None] | None:
    """A clock in MHz: before the measuring, the lowest and highest while it was measured, and its limit."""
    known = [clock for clock in looks if clock is not None]
    if before is None and not known:
        return None
    return {"before": before, "min": min(known, default=None), "max": max(known, default=None), "limit": highest}


def _shares(looks: list[Look]) -> list[str]:
    """Why the GPU was slowed down, and in how many looks."""
    counts = Counter(word for look in looks for word in look.slowed or ())
    return [f"{word} (in {count / len(looks):.0%} of {len(looks)} looks)" for word, count in counts.most_common()]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
