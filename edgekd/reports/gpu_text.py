"""The record of a GPU as text."""

from __future__ import annotations

from typing import Any


def gpu_text(gpu: dict[str, Any]) -> str:
    """A record in one line, for people.

    Args:
        gpu: The record of `edgekd.machine.gpu_record.watch_gpu`.
    """
    parts = [f"driver {gpu['driver']}"] if gpu["driver"] else []
    parts += [f"CUDA {gpu['cuda']}"] if gpu["cuda"] else []
    parts += [f"compute capability {gpu['compute_capability']}"] if gpu["compute_capability"] else []
    parts += [f"{gpu['memory_bytes'] / 2**30:.1f} GiB"] if gpu["memory_bytes"] else []
    parts += [_clock_text(name, clock) for name, clock in (gpu["clocks_mhz"] or {}).items() if clock]
    parts += [f"power limit {gpu['power_limit_watts']:.0f} W"] if gpu["power_limit_watts"] else []
    parts += [f"power mode {gpu['power_mode']}"] if gpu["power_mode"] else []
    parts += [f"L4T {gpu['l4t']}"] if gpu["l4t"] else []
    parts += [f"JetPack {gpu['jetpack']}"] if gpu["jetpack"] else []
    parts += [f"up to {gpu['highest_celsius']:.0f} °C"] if gpu["highest_celsius"] is not None else []
    parts += gpu["clock_settings"] or []
    return ", ".join([gpu["name"], *parts])


def without_throttling(gpu: dict[str, Any]) -> str:
    """What a record without throttling means: none was seen, or this GPU does not report it."""
    return "not reported by this GPU" if gpu["throttling"] is None else f"none in {gpu['samples']} samples"


def _clock_text(name: str, clock: dict[str, int | None]) -> str:
    title = {"sm": "SM"}.get(name, name)
    spread = f"{clock['min']}" if clock["min"] == clock["max"] else f"{clock['min']} to {clock['max']}"
    return f"{title} clock {spread}" + (f" of {clock['limit']} MHz" if clock["limit"] else " MHz")
