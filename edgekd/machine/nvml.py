"""NVIDIA's management library: the GPU that CUDA computes on, and what holds its clocks down."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

# Bits of the reasons why clocks are not at their highest. Those that follow are not settings, but the GPU slowing down.
SLOWDOWNS = {
    0x04: "power limit",
    0x08: "hardware slowdown",
    0x20: "temperature (software slowdown)",
    0x40: "temperature (hardware slowdown)",
    0x80: "power brake",
}
SETTINGS = {0x02: "clocks set by the user", 0x10: "kept in step with other GPUs", 0x100: "clocks set for a display"}


def open_nvml() -> Any | None:
    """The module pynvml, initialised; None where nvidia-ml-py or the NVIDIA driver is missing."""
    try:
        nvml: Any = importlib.import_module("pynvml")
    except ImportError:
        return None
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return None
    return nvml


def ask(nvml: Any, function: str, *arguments: Any) -> Any | None:
    """What NVML answers; None for what this GPU, its driver or the library does not know.

    Args:
        nvml: The module pynvml, initialised.
        function: Its name.
        arguments: It takes.
    """
    try:
        return getattr(nvml, function)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def find_gpu(nvml: Any, uuid: str) -> Any | None:
    """NVML's handle of a GPU. NVML counts by PCI bus and knows nothing of CUDA_VISIBLE_DEVICES: an index will not do.

    Args:
        nvml: The module pynvml, initialised.
        uuid: As CUDA tells it; "" where that is not known: then the machine's only GPU, where there is but one.

    Returns:
        None where there is no such GPU. Of a slice of a GPU (MIG) the handle is the slice's.
    """
    if not uuid:
        return ask(nvml, "nvmlDeviceGetHandleByIndex", 0) if ask(nvml, "nvmlDeviceGetCount") == 1 else None
    handle = ask(nvml, "nvmlDeviceGetHandleByUUID", uuid)
    if handle is None and uuid.startswith("GPU-"):
        # CUDA tells a slice's UUID by its bytes alone; NVML knows it by a prefix of its own.
        handle = ask(nvml, "nvmlDeviceGetHandleByUUID", uuid.replace("GPU-", "MIG-", 1))
    return handle


def is_slice(nvml: Any, handle: Any) -> bool:
    """Whether a handle is that of a slice (MIG): NVML measures no power of it alone."""
    return bool(ask(nvml, "nvmlDeviceIsMigDeviceHandle", handle))


def whole_gpu(nvml: Any, handle: Any) -> Any:
    """The GPU that a slice (MIG) is of, which has the clocks and the temperature; a whole GPU is itself."""
    if not is_slice(nvml, handle):
        return handle
    return ask(nvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle) or handle


def clock_reasons(nvml: Any, handle: Any) -> int | None:
    """The bits of why clocks are not at their highest; None where the GPU does not say."""
    reasons = ask(nvml, "nvmlDeviceGetCurrentClocksEventReasons", handle)
    if reasons is None:  # What drivers before 535 call it.
        reasons = ask(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    return None if reasons is None else int(reasons)


def words_of(reasons: int, kinds: Mapping[int, str]) -> tuple[str, ...]:
    """Reasons of clocks in words.

    Args:
        reasons: Their bits. An idle GPU's, whose clocks are low for want of work, are no words.
        kinds: SLOWDOWNS or SETTINGS.
    """
    return tuple(word for bit, word in kinds.items() if reasons & bit)
