"""NVIDIA's management library: the GPU that CUDA computes on, and what lowers its clocks."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

# Bits of the reasons why clocks are below their maximum. These are throttling, those of SETTINGS are not.
THROTTLING = {
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


def query(nvml: Any, function: str, *arguments: Any) -> Any | None:
    """Calls a function of NVML; None where this GPU, its driver or the library does not support it.

    Args:
        nvml: The module pynvml, initialised.
        function: The function's name.
        arguments: The function's.
    """
    try:
        return getattr(nvml, function)(*arguments)
    except (nvml.NVMLError, AttributeError):
        return None


def find_gpu(nvml: Any, uuid: str) -> Any | None:
    """NVML's handle of a GPU. NVML counts by PCI bus and ignores CUDA_VISIBLE_DEVICES, so an index will not do.

    Args:
        nvml: The module pynvml, initialised.
        uuid: As CUDA reports it; "" where it is unknown: then the machine's only GPU, where there is just one.

    Returns:
        None where there is no such GPU. For a slice of a GPU (MIG), the slice's handle.
    """
    if not uuid:
        return query(nvml, "nvmlDeviceGetHandleByIndex", 0) if query(nvml, "nvmlDeviceGetCount") == 1 else None
    handle = query(nvml, "nvmlDeviceGetHandleByUUID", uuid)
    if handle is None and uuid.startswith("GPU-"):
        # CUDA reports a slice's UUID without its prefix; NVML expects "MIG-".
        handle = query(nvml, "nvmlDeviceGetHandleByUUID", uuid.replace("GPU-", "MIG-", 1))
    return handle


def is_slice(nvml: Any, handle: Any) -> bool:
    """Whether a handle is that of a slice (MIG), whose own power NVML does not measure."""
    return bool(query(nvml, "nvmlDeviceIsMigDeviceHandle", handle))


def whole_gpu(nvml: Any, handle: Any) -> Any:
    """The GPU that a slice (MIG) belongs to, which has the clocks and the temperature; a whole GPU as it is."""
    if not is_slice(nvml, handle):
        return handle
    return query(nvml, "nvmlDeviceGetDeviceHandleFromMigDeviceHandle", handle) or handle


def clock_reasons(nvml: Any, handle: Any) -> int | None:
    """The bits of the reasons why clocks are below their maximum; None where the GPU does not report them."""
    reasons = query(nvml, "nvmlDeviceGetCurrentClocksEventReasons", handle)
    if reasons is None:  # Its name in drivers before 535.
        reasons = query(nvml, "nvmlDeviceGetCurrentClocksThrottleReasons", handle)
    return None if reasons is None else int(reasons)


def reason_names(reasons: int, kinds: Mapping[int, str]) -> tuple[str, ...]:
    """Reasons why clocks are below their maximum, as text.

    Args:
        reasons: Their bits. That of an idle GPU has no name: its clocks are low for want of work.
        kinds: THROTTLING or SETTINGS.
    """
    return tuple(word for bit, word in kinds.items() if reasons & bit)
