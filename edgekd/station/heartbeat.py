"""Tells systemd that the station is alive: that the event loop turns, and that the inspector does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from edgekd import watchdog

SILENT_S = 2.0  # For so long the inspector may be silent.
EVERY_S = 1.0


def interval_s() -> float:
    """Seconds between two signs of life: half of what systemd allows, at most one."""
    try:
        allowed_s = int(os.environ.get("WATCHDOG_USEC", "")) / 1_000_000
    except ValueError:
        return EVERY_S
    return min(allowed_s / 2, EVERY_S) if allowed_s > 0 else EVERY_S


async def keep_alive(silent_for: Callable[[], float]) -> None:
    """Sends signs of life until it is cancelled; none while the inspector is silent, so that systemd starts us anew.

    Args:
        silent_for: Seconds since the inspector was last heard.
    """
    while True:
        if silent_for() < SILENT_S:
            watchdog.alive()
        await asyncio.sleep(interval_s())
