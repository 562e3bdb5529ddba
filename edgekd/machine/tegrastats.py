"""The fields of a line of NVIDIA's tegrastats: memory, loads, clocks, temperatures and power of a Jetson.

Lines of JetPack 5 and newer are parsed. What a board or a release does not print is None, never 0; a field that cannot
be parsed is an error, and whoever reads many lines skips that one and counts it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgekd.errors import EdgekdError

SENSOR_OFF = -256.0  # What tegrastats prints for a sensor whose block has no power.
BOARD_INPUTS = ("VDD_IN", "VIN")  # Of Orin Nano and Orin NX, and of Thor: one rail that feeds all others.
# Where no such rail is measured, these together are the module. VDDQ_VDD2_1V8AO is fed from VIN_SYS_5V0 and would count
# twice.
MODULE_RAILS = (
    ("VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0"),  # AGX Orin
    ("VDD_GPU", "VDD_CPU_SOC_MSS", "VIN_SYS_5V0"),  # Thor
)

_PAIR = r"(\d+)/(\d+)MB"
_CORE = re.compile(r"(\d+)%(?:@(\d+))?")
_GPU = re.compile(r"(?:(\d+)%)?(?:@(?:\[(\d+(?:,\d+)*)\]|(\d+)))?")
_TEMPERATURE = re.compile(r"(?<!\S)([\w-]+)@(-?\d+(?:\.\d+)?)C(?:/-?\d+(?:\.\d+)?C)?(?!\S)")
_RAIL = re.compile(r"(?<!\S)((?:VDD|VIN)\w*) (\S*)")
_RAIL_VALUE = re.compile(r"(-?\d+)mW(?:/(-?\d+)mW)?(?:/-?\d+mW)?")  # Now, average; from JetPack 7.2 the peak too.


@dataclass(frozen=True)
class Core:
    """A CPU core that is on.

    Attributes:
        percent: Its load.
        mhz: Its clock; None where the line lacks it.
    """

    percent: int
    mhz: int | None


@dataclass(frozen=True)
class Rail:
    """A power rail.

    Attributes:
        now: Milliwatts; below 0 where the sensor's offset is larger than what flows.
        average: Milliwatts since tegrastats was started; None where the line lacks it.
    """

    now: int
    average: int | None


@dataclass(frozen=True)
class TegraStats:
    """One line.

    Attributes:
        ram_used: Megabytes.
        ram_total: Megabytes.
        swap_used: Megabytes.
        swap_total: Megabytes.
        cores: One a CPU core, None for one that is off; empty where the line lacks them.
        gpu_percent: The GPU's load.
        gpu_mhz: The clock of each of the GPU's clusters; empty where the line lacks them.
        celsius: Temperature by zone, of the sensors that are on.
        rails: Power by rail, of those that the line shows; some releases show them to root alone.
    """

    ram_used: int
    ram_total: int
    swap_used: int | None
    swap_total: int | None
    cores: tuple[Core | None, ...]
    gpu_percent: int | None
    gpu_mhz: tuple[int, ...]
    celsius: dict[str, float]
    rails: dict[str, Rail]

    @property
    def total_milliwatts(self) -> int | None:
        """Power of the board, or of the module where the board's is not measured; None where neither is."""
        for name in BOARD_INPUTS:
            if name in self.rails:
                return self.rails[name].now
        for names in MODULE_RAILS:
            if all(name in self.rails for name in names):
                return sum(self.rails[name].now for name in names)
        return None

    @property
    def highest_celsius(self) -> float | None:
        """The temperature of the hottest zone."""
        return max(self.celsius.values(), default=None)


def parse_tegrastats(line: str) -> TegraStats:
    """Reads a line.

    Args:
        line: As tegrastats prints it, with or without the time at its start.

    Raises:
        EdgekdError: It is not a line of tegrastats, or one of its fields is damaged.
    """
    ram = _field("RAM", _PAIR, line)
    if ram is None:
        raise EdgekdError(f"not a line of tegrastats, which begins with RAM: '{_shortened(line)}'")
    swap = _field("SWAP", _PAIR, line)
    gpu = _field("GR3D_FREQ", _GPU.pattern, line)
    return TegraStats(
        ram_used=int(ram[1]),
        ram_total=int(ram[2]),
        swap_used=int(swap[1]) if swap else None,
        swap_total=int(swap[2]) if swap else None,
        cores=_cores(line),
        gpu_percent=int(gpu[1]) if gpu and gpu[1] else None,
        gpu_mhz=tuple(int(clock) for clock in (gpu[2] or gpu[3] or "").split(",") if clock) if gpu else (),
        celsius={zone: float(value) for zone, value in _TEMPERATURE.findall(line) if float(value) != SENSOR_OFF},
        rails=dict(_rail(name, value, line) for name, value in _RAIL.findall(line)),
    )


def _field(name: str, value: str, line: str) -> re.Match[str] | None:
    """A field's value; None where the line does not name the field."""
    if not re.search(rf"(?<!\S){name}(?!\S)", line):
        return None
    found = re.search(rf"(?<!\S){name} (?=\S){value}(?!\S)", line)
    if found is None:
        raise _damaged(name, line)
    return found


def _cores(line: str) -> tuple[Core | None, ...]:
    found = _field("CPU", r"\[([^\]]*)\](?:@(\d+))?", line)
    if found is None:
        return ()
    cores: list[Core | None] = []
    for text in found[1].split(","):
        core = _CORE.fullmatch(text)
        if core is None and text != "off":
            raise _damaged("CPU", line)
        clock = (core[2] or found[2]) if core else None
        cores.append(Core(int(core[1]), int(clock) if clock else None) if core else None)
    return tuple(cores)


def _rail(name: str, value: str, line: str) -> tuple[str, Rail]:
    found = _RAIL_VALUE.fullmatch(value)
    if found is None:
        raise _damaged(name, line)
    return name, Rail(int(found[1]), int(found[2]) if found[2] else None)


def _damaged(field: str, line: str) -> EdgekdError:
    return EdgekdError(f"tegrastats printed a {field} field that cannot be parsed: '{_shortened(line)}'")


def _shortened(line: str) -> str:
    line = line.strip()
    return line if len(line) <= 60 else f"{line[:30]}...{line[-27:]}"
