"""How much of the machine's memory this process holds."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

STATUS = Path("/proc/self/status")
RESIDENT, PEAK = "VmRSS", "VmHWM"


class Memory(NamedTuple):
    """Memory of this process, in bytes.

    Attributes:
        resident: That it holds now.
        peak: That it has held at most.
    """

    resident: int
    peak: int


def read_memory(status: Path = STATUS) -> Memory | None:
    """What this process holds; None where the system does not report it.

    Args:
        status: Linux's file about this process.
    """
    try:
        lines = status.read_text(encoding="ascii", errors="replace").splitlines()
        fields = dict(line.split(":", 1) for line in lines if ":" in line)
        return Memory(*(int(fields[name].split()[0]) * 1024 for name in (RESIDENT, PEAK)))
    except (OSError, KeyError, ValueError, IndexError):
        return None
