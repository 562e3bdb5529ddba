"""Figures of the stations as Prometheus reads them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from edgekd import __version__

View = Mapping[str, Any]
PREFIX = "edgekd_station"
# Name, kind, help, and the value of a view.
FIGURES: tuple[tuple[str, str, str, Callable[[View], float]], ...] = (
    ("state", "gauge", "State code, as a PLC reads it.", lambda view: view["state"]["code"]),
    ("trigger_ready", "gauge", "Whether a trigger would be taken now.", lambda view: view["trigger_ready"]),
    ("fault", "gauge", "Error code that led to FAULT, 0 for none.", lambda view: view["state"]["fault"]),
    ("warning", "gauge", "Whether an alarm is active that stops nothing.", lambda view: view["state"]["warning"]),
    ("alarms", "gauge", "Alarms that are active or not confirmed.", lambda view: len(view["alarms"])),
    ("missed_triggers", "gauge", "Missed triggers since the reset.", lambda view: view["counters"]["missed"]),
    ("self_test_due", "gauge", "Whether a self-test is overdue.", lambda view: view["self_test"]["due"]),
    ("storage_free", "gauge", "Share of the disk that is free.", lambda view: view["storage"]["free"]),
    ("uptime_seconds", "gauge", "Seconds since the start.", lambda view: view["uptime_s"]),
)


def metrics_of(views: Sequence[View], followers: int) -> str:
    """The text that Prometheus scrapes.

    Args:
        views: Of all stations.
        followers: Browsers that follow what happens.
    """
    lines = [
        f"# HELP {PREFIX}_info The version that runs.",
        f"# TYPE {PREFIX}_info gauge",
        f'{PREFIX}_info{{version="{__version__}"}} 1',
        f"# HELP {PREFIX}_page_followers Browsers that follow what happens.",
        f"# TYPE {PREFIX}_page_followers gauge",
        f"{PREFIX}_page_followers {followers}",
    ]
    for name, kind, text, value in FIGURES:
        lines += [f"# HELP {PREFIX}_{name} {text}", f"# TYPE {PREFIX}_{name} {kind}"]
        lines += [f'{PREFIX}_{name}{{station="{view["station"]}"}} {float(value(view)):g}' for view in views]
    lines += [f"# HELP {PREFIX}_parts Parts since the reset, by verdict.", f"# TYPE {PREFIX}_parts gauge"]
    for view in views:
        for verdict in ("ok", "ng", "error"):
            labels = f'station="{view["station"]}",verdict="{verdict.upper()}"'
            lines.append(f"{PREFIX}_parts{{{labels}}} {view['counters'][verdict]}")
    lines += [f"# HELP {PREFIX}_link Whether a counterpart is there.", f"# TYPE {PREFIX}_link gauge"]
    for view in views:
        for name, up in view["links"].items():
            labels = f'station="{view["station"]}",link="{_escaped(name)}"'
            lines.append(f"{PREFIX}_link{{{labels}}} {int(up)}")
    return "\n".join(lines) + "\n"


def _escaped(label: str) -> str:
    return label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
