"""Which counterparts are there, and what it means when one is not."""

from __future__ import annotations

from edgekd.station.alarms import Alarms
from edgekd.station.error_codes import ErrorCode
from edgekd.station.work import Work

CAMERA = "camera "
# Of these no alarm is raised here: who reports them raises one that says more.
SILENT = ("plc", "disk", "clock")


class Links:
    """The counterparts of a station, by name: plc, camera NAME, inspector, broker, disk, clock, and adapters.

    Args:
        alarms: Of the station.
        work: What the station does between its parts.
        cameras: Names of the station's cameras; others are none of its business.
    """

    def __init__(self, alarms: Alarms, work: Work, cameras: tuple[str, ...]) -> None:
        self._alarms, self._work = alarms, work
        self._cameras = tuple(CAMERA + name for name in cameras)
        self._up: dict[str, bool] = {}

    def listed(self) -> tuple[tuple[str, bool], ...]:
        """Each counterpart of which something is known, and whether it is there."""
        return tuple(self._up.items())

    def concerns(self, name: str) -> bool:
        """Whether something is this station's business: the cameras of others are not."""
        return name in self._cameras or not name.startswith(CAMERA)

    def report(self, name: str, up: bool) -> bool:
        """A counterpart came or went. Returns whether that is news."""
        if not self.concerns(name):
            return False
        news = self._up.get(name) is not up
        self._up[name] = up
        if up:
            self._alarms.end_about(name)
        elif name in self._cameras and not self._alarms.about(name):
            self._work.fail(ErrorCode.CAMERA_LOST, f"The {name} does not answer. Check its cable and power.", name)
        elif name == "inspector":
            self._alarms.begin(ErrorCode.INSPECTOR_DIED, subject=name)
        elif name not in (*SILENT, *self._cameras):
            self._alarms.begin(ErrorCode.LINK_LOST, f"{name} cannot be reached. Verdicts go on; check it.", name)
        if name == "inspector":
            self._work.inspector_is(up)
        return news
