"""Where the newest images of each station lie while somebody looks at them; nothing there is kept."""

from __future__ import annotations

import os
from pathlib import Path

from edgekd.station.configuration import StationConfiguration

RUNTIME = "RUNTIME_DIRECTORY"  # In memory; systemd makes it for a unit that asks for it, and names it so.
SNAPS = "snaps"  # In a station's folder: what somebody asked its cameras for.


def live_folder(configuration: StationConfiguration) -> Path:
    """The folder of the newest images, with one for each station in it; of memory where the system has it.

    Args:
        configuration: Of the stations.
    """
    runtime = os.environ.get(RUNTIME, "").partition(":")[0]
    return (Path(runtime) if runtime else configuration.data.absolute()) / "live"
