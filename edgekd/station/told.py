"""What the inspector tells unasked, passed on to the stations that it concerns."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.listeners import Listeners
from edgekd.station.links import CAMERA
from edgekd.station.parts import Inspected
from edgekd.station.ports import StoredImage
from edgekd.station.station import Station

logger = logging.getLogger(__name__)

INSPECTOR = "inspector"


class Told:
    """Passes on what the inspector tells.

    Args:
        stations: By their names; filled before the inspector is started.
    """

    def __init__(self, stations: Mapping[str, Station]) -> None:
        self._stations = stations

    def listeners(self) -> Listeners:
        """What the inspector's client is made with."""
        return Listeners(
            on_camera=self.camera,
            on_died=self.died,
            on_restarted=self.restarted,
            on_failing=self.failing,
            on_unloaded=self.unloaded,
            on_late=self.late,
            on_stored=self.stored,
            on_frame=self.frame,
            on_warning=self.warning,
        )

    def camera(self, name: str, up: bool, code: ErrorCode, text: str) -> None:
        """A camera was opened or lost."""
        for station in self._stations.values():
            if not up:
                station.report_fault(code, text, subject=CAMERA + name)
            station.report_link(CAMERA + name, up)

    def died(self, why: str) -> None:
        """The process ended; it is being restarted."""
        for station in self._stations.values():
            station.report_link(INSPECTOR, False)

    def restarted(self) -> None:
        """The process runs again; stations load and prove their recipes anew."""
        for station in self._stations.values():
            station.report_link(INSPECTOR, True)

    def failing(self, why: str) -> None:
        """The process dies again and again."""
        for station in self._stations.values():
            station.report_fault(ErrorCode.INSPECTOR_DIED, why, subject=INSPECTOR)

    def unloaded(self, name: str, error: StationError) -> None:
        """A recipe could not be loaded after a restart: the station will find the same, and say so."""
        logger.warning("station %s: %s", name, error)

    def late(self, name: str, inspected: Inspected) -> None:
        """An answer came after its deadline."""
        self._stations[name].report_late(inspected)

    def frame(self, name: str, received: float) -> None:
        """A frame came that is a trigger."""
        self._stations[name].trigger_by_camera(received)

    def stored(self, image: StoredImage) -> None:
        """An image was stored."""
        if not any(station.report_stored(image) for station in self._stations.values()):
            logger.warning("%s belongs to no answer that is known", image.path)

    def warning(self, text: str) -> None:
        """Something that changes no verdict."""
        logger.warning("%s", text)
