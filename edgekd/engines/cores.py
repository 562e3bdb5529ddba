"""The CPU cores of this machine: how many this process may use, and of what kinds they are."""

from __future__ import annotations

import os
import platform
from pathlib import Path

# Of a core in /proc/cpuinfo, on x86_64 and on aarch64; other fields, such as its clock, change while it runs.
IDENTITY = {
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "stepping",
    "microcode",
    "flags",
    "CPU implementer",
    "CPU architecture",
    "CPU variant",
    "CPU part",
    "CPU revision",
    "Features",
}


def usable_cores() -> int:
    """The CPU cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def core_kinds(cpuinfo: Path = Path("/proc/cpuinfo")) -> list[str]:
    """What kinds of cores there are, with their instructions: by this one processor is told from another.

    Args:
        cpuinfo: The kernel's file about the processor.

    Returns:
        Lines of that file, each once; where there is none, what Python calls the processor.
    """
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return [platform.processor()]
    return sorted({line for line in lines if line.partition(":")[0].strip() in IDENTITY})
