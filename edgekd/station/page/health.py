"""How the machine of a station is: disk, memory, load, temperature, power, and frames and triggers that were lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from edgekd import __version__
from edgekd.machine import jetson_gpu
from edgekd.machine.power import find_sampler, measure_by
from edgekd.machine.record import Machine, installed_version, read_machine
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.page.evaluating import evaluate
from edgekd.station.record.counting import MISSED
from edgekd.station.record.searching import id_range

Value = TypeVar("Value")
DAY_MS = 86_400_000
WATCHED_S = 0.3  # Power and load are means over so long.
MACHINE_S, RECORD_S = 5.0, 60.0  # For which what was read is not read again.
PROC, SYS = Path("/proc"), Path("/sys")
DROPPED = (
    *(ErrorCode.ACQUISITION_TIMEOUT, ErrorCode.IMAGE_INCOMPLETE, ErrorCode.CAMERA_LOST, ErrorCode.IMAGE_STALE),
    *(ErrorCode.IMAGE_FROZEN, *MISSED),
)
PACKAGES = ("fastapi", "numpy", "opencv-python-headless", "uvicorn")


class Kept(Generic[Value]):
    """What takes a while to find out, kept for some seconds. Any thread may ask.

    Args:
        seconds: How long.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lock = threading.Lock()
        self._of: object = None
        self._at = 0.0
        self._value: Value | None = None

    def get(self, of: object, find: Callable[[], Value]) -> Value:
        """What was found out a moment ago, or is now.

        Args:
            of: What it is of: something else is found out anew.
            find: Finds it out.
        """
        with self._lock:
            if self._value is None or self._of != of or time.monotonic() - self._at > self._seconds:
                self._value, self._of = find(), of
                self._at = time.monotonic()
            return self._value


class Health:
    """What is known of the machine."""

    def __init__(self) -> None:
        self._machine: Kept[dict[str, Any]] = Kept(MACHINE_S)
        self._record: Kept[dict[str, Any]] = Kept(RECORD_S)
        self._versions: Kept[dict[str, Any]] = Kept(float("inf"))

    def of(self, record: Path) -> dict[str, Any]:
        """How everything is, as JSON has it; null is what this machine does not measure.

        Args:
            record: The database.
        """
        kept = self._record.get(record, lambda: evaluate(record, _on_record))
        usage = shutil.disk_usage(record.parent)
        disk = {"free": usage.free, "total": usage.total, "free_share": usage.free / usage.total}
        return {
            "time_utc_ms": time.time_ns() // 1_000_000,
            "disk": {**disk, "record_bytes": _size(record), **kept["images"]},
            **self._machine.get(None, machine_health),
            "dropped_frames": kept["dropped_frames"],
            "versions": self._versions.get(None, _versions),
        }


def machine_health(proc: Path = PROC, sys_folder: Path = SYS, seconds: float = WATCHED_S) -> dict[str, Any]:
    """Memory, load, temperature and power, over a moment.

    Args:
        proc: The kernel's view of processes.
        sys_folder: The kernel's view of devices.
        seconds: How long power and load are watched.
    """
    before = _ticks(proc)
    # A GPU's power where one can be measured; else the CPU's, and the source's name says which.
    with measure_by(find_sampler(gpu_uuid="") or find_sampler()) as power:
        time.sleep(seconds)
    zones = temperatures(sys_folder)
    highest = max([*zones.values(), *([power.highest_celsius] if power.highest_celsius else [])], default=None)
    return {
        "memory": _memory(proc),
        "cpu": {
            "used_share": _used_share(before, _ticks(proc)),
            "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else None,
            "cores": os.cpu_count(),
        },
        "temperature": {"zones": zones, "highest": highest, "hot": jetson_gpu.thermal_alerts(sys_folder)},
        "power": {
            "watts": power.mean_watts,
            "source": power.source,
            "mode": jetson_gpu.power_mode(),
            "throttled": jetson_gpu.over_current_events(sys_folder),
        },
    }


def temperatures(sys_folder: Path = SYS) -> dict[str, float]:
    """Degrees Celsius of each thermal zone that the kernel knows, by its name.

    Args:
        sys_folder: The kernel's view of devices.
    """
    found: dict[str, float] = {}
    for zone in sorted(sys_folder.glob("class/thermal/thermal_zone*")):
        try:
            name, celsius = (zone / "type").read_text().strip(), int((zone / "temp").read_text()) / 1000
        except (OSError, ValueError):  # The zone of a part that is off cannot be read.
            continue
        if -50 < celsius < 200:
            found[name] = max(celsius, found.get(name, celsius))
    return found


def _on_record(log: sqlite3.Connection) -> dict[str, Any]:
    """Images that are kept, and frames and triggers that were lost within a day, by station."""
    images, total = log.execute(
        "SELECT count(*), coalesce(sum(bytes), 0) FROM image WHERE removed_ms IS NULL"
    ).fetchone()
    since = time.time_ns() // 1_000_000 - DAY_MS
    low, high = id_range(log, since, None)
    places = ", ".join("?" * len(DROPPED))
    query = f"""SELECT station, error_code, count(*) FROM verdicts
        WHERE id >= ? AND id < ? AND time_ms >= ? AND error_code IN ({places}) GROUP BY 1, 2"""
    stations: dict[str, dict[int, int]] = {}
    for station, code, count in log.execute(query, (low, high, since, *map(int, DROPPED))):
        stations.setdefault(station, {})[code] = count
    return {
        "images": {"images": images, "image_bytes": total},
        "dropped_frames": {
            "hours": 24,
            "stations": stations,
            "texts": {int(code): TEXTS[code].what for code in DROPPED},
        },
    }


def _versions() -> dict[str, Any]:
    machine = read_machine()
    return {
        "edgekd": __version__,
        "python": machine.python,
        "sqlite": sqlite3.sqlite_version,
        "system": machine.system,
        "machine": _described(machine),
        **{package: version for package, version in machine.packages.items() if version is not None},
        **{package: version for package in PACKAGES if (version := installed_version(package)) is not None},
    }


def _described(machine: Machine) -> str:
    """The machine in a line: its board or processor, and its GPU."""
    jetpack = f"JetPack {machine.jetpack.release}" if machine.jetpack else None
    parts = (machine.model or machine.cpu.name or machine.architecture, jetpack, machine.gpu and machine.gpu.name)
    return ", ".join(part for part in parts if part)


def _memory(proc: Path) -> dict[str, Any] | None:
    fields = {}
    for line in _lines(proc / "meminfo"):
        name, _, value = line.partition(":")
        fields[name] = value.split()
    try:
        total, available = (1024 * int(fields[name][0]) for name in ("MemTotal", "MemAvailable"))
    except (KeyError, ValueError, IndexError):
        return None
    return {"total": total, "available": available, "used_share": 1 - available / total}


def _ticks(proc: Path) -> tuple[int, int] | None:
    """What all cores worked and idled since the start."""
    for line in _lines(proc / "stat"):
        name, *values = line.split()
        if name == "cpu" and len(values) >= 5:
            idle = int(values[3]) + int(values[4])
            return sum(map(int, values[:8])) - idle, idle
    return None


def _used_share(before: tuple[int, int] | None, after: tuple[int, int] | None) -> float | None:
    if before is None or after is None:
        return None
    worked, idled = after[0] - before[0], after[1] - before[1]
    return worked / (worked + idled) if worked + idled > 0 else None


def _size(record: Path) -> int:
    files = (record, record.with_name(f"{record.name}-wal"))
    return sum(file.stat().st_size for file in files if file.is_file())


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except OSError:
        return []
