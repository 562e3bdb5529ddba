"""The GPU of a Jetson from the kernel's files and nvpmodel: clocks, temperature, power mode, and what throttled it.

NVML, which reports these of other GPUs, reports little of a Jetson's.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

# The folders of a GPU's clock among the kernel's devfreq devices: of Orin, of Thor, of Xavier and older ones.
GPU_CLOCKS = ("17000000.gpu", "17000000.ga10b", "gpu-gpc-0", "17000000.gv11b", "57000000.gpu")
MEMORY_CLOCK = "bwmgr"
OVER_CURRENT = {1: "under-voltage", 2: "average current too high", 3: "current peak too high"}
PROGRAM_SECONDS = 5.0


class JetsonClock(NamedTuple):
    """A clock, in MHz.

    Attributes:
        now: Its frequency.
        highest: Highest frequency that the power mode allows.
    """

    now: int
    highest: int | None


def power_mode(program: str = "nvpmodel") -> str | None:
    """The name of the power mode, such as "MAXN" or "MODE_15W_6CORE".

    Args:
        program: NVIDIA's nvpmodel; it is often in /usr/sbin, which is not on every user's PATH.

    Returns:
        None where there is no such program, or where it fails.
    """
    path = shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin")))
    if path is None:
        return None
    try:
        printed = subprocess.run(
            [path, "-q"], capture_output=True, text=True, errors="replace", timeout=PROGRAM_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"NV Power Mode:\s*(\S+)", printed)
    return found[1] if found else None


def gpu_clock(sys_folder: Path = Path("/sys")) -> JetsonClock | None:
    """The GPU's clock; None where the kernel has none of the known names."""
    return next((clock for name in GPU_CLOCKS if (clock := _clock(sys_folder, name)) is not None), None)


def memory_clock(sys_folder: Path = Path("/sys")) -> JetsonClock | None:
    """The memory's clock; None where the kernel shows it to root alone, as on Orin."""
    return _clock(sys_folder, MEMORY_CLOCK)


def gpu_celsius(sys_folder: Path = Path("/sys")) -> float | None:
    """The temperature of the GPU's zone; None where there is none, or where the GPU is off."""
    for zone in sorted(sys_folder.glob("class/thermal/thermal_zone*")):
        if _text(zone / "type").lower().startswith("gpu"):
            millidegrees = _number(zone / "temp")
            return None if millidegrees is None else millidegrees / 1000
    return None


def thermal_alerts(sys_folder: Path = Path("/sys")) -> list[str]:
    """Parts of the chip that are throttled now because they are hot, such as "gpu"."""
    hot = []
    for device in sorted(sys_folder.glob("class/thermal/cooling_device*")):
        kind = _text(device / "type")
        if kind.endswith("-throttle-alert") and (_number(device / "cur_state") or 0) > 0:
            hot.append(kind.removesuffix("-throttle-alert"))
    return hot


def over_current_events(sys_folder: Path = Path("/sys")) -> dict[str, int]:
    """How often each protection of the power supply throttled the chip since it was started; by its name."""
    events: dict[str, int] = {}
    for counter in sorted(sys_folder.glob("class/hwmon/hwmon*/oc[0-9]_event_cnt")):
        number = int(counter.name[2])
        if _text(counter.with_name(f"oc{number}_throt_en")) == "0":  # It counts but does not throttle.
            continue
        if (count := _number(counter)) is not None:
            name = OVER_CURRENT.get(number, f"protection {number} of the power supply")
            events[name] = events.get(name, 0) + count
    return events


def _clock(sys_folder: Path, name: str) -> JetsonClock | None:
    folder = sys_folder / "class" / "devfreq" / name
    now, highest = _number(folder / "cur_freq"), _number(folder / "max_freq")
    return None if now is None else JetsonClock(round(now / 1e6), None if highest is None else round(highest / 1e6))


def _number(path: Path) -> int | None:
    try:
        return int(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:  # The zone of a part that is off cannot be read.
        return ""
