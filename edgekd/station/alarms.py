"""What people must know, from its beginning until its cause is gone and, where it was fatal, somebody confirms it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from edgekd.station.clock import Clock
from edgekd.station.error_codes import TEXTS, ErrorCode
from edgekd.station.events import AlarmChanged, Event
from edgekd.station.snapshot import Alarm


@dataclass
class _Kept:
    alarm: Alarm
    subjects: set[str] = field(default_factory=set)  # For whom it holds: two cameras may be lost at once.


class Alarms:
    """The alarms of a station; one of a code, whatever it is about.

    Args:
        tell: Told of each change.
        clock: For stamps.
    """

    def __init__(self, tell: Callable[[Event], None], clock: Clock) -> None:
        self._tell, self._clock = tell, clock
        self._kept: dict[ErrorCode, _Kept] = {}

    def listed(self) -> tuple[Alarm, ...]:
        """Those that are active or not confirmed, the oldest first."""
        return tuple(kept.alarm for kept in self._kept.values())

    def begin(self, code: ErrorCode, text: str = "", subject: str = "", fatal: bool = False) -> None:
        """Something is wrong now.

        Args:
            code: What.
            text: In one line, with what to do; "" for the code's own text.
            subject: What it is about, such as a camera's name.
            fatal: Whether it leads to FAULT.
        """
        kept = self._kept.get(code)
        if kept is not None and kept.alarm.active and subject in kept.subjects and fatal <= kept.alarm.fatal:
            return
        if kept is None:
            kept = _Kept(Alarm(code, "", self._clock.utc_ms()))
        kept.subjects.add(subject)
        fatal = fatal or kept.alarm.fatal
        text = text or " ".join(TEXTS[code])
        self._keep(kept, replace(kept.alarm, text=text, fatal=fatal, active=True, acknowledged_by=""))

    def end(self, code: ErrorCode, subject: str = "") -> None:
        """Something is wrong no longer; an alarm that was fatal stays until it is confirmed."""
        kept = self._kept.get(code)
        if kept is None or subject not in kept.subjects:
            return
        kept.subjects.remove(subject)
        if kept.subjects:
            return
        self._keep(kept, replace(kept.alarm, active=False))
        if not kept.alarm.fatal:
            del self._kept[code]

    def about(self, subject: str) -> bool:
        """Whether something is wrong with a subject."""
        return any(subject in kept.subjects for kept in self._kept.values())

    def end_about(self, subject: str) -> None:
        """Nothing is wrong with a subject any longer."""
        for code in list(self._kept):
            self.end(code, subject)

    def acknowledge(self, code: ErrorCode, who: str) -> bool:
        """Somebody has seen it. Returns whether there is such an alarm."""
        kept = self._kept.get(code)
        if kept is not None:
            self._keep(kept, replace(kept.alarm, acknowledged_by=who))
        return kept is not None

    def confirm(self) -> bool:
        """Removes the fatal alarms whose cause is gone. Returns whether none is left, so that FAULT may be left."""
        for code, kept in list(self._kept.items()):
            if kept.alarm.fatal and not kept.alarm.active:
                del self._kept[code]
        return not any(kept.alarm.fatal for kept in self._kept.values())

    def _keep(self, kept: _Kept, alarm: Alarm) -> None:
        kept.alarm = alarm
        self._kept[alarm.code] = kept
        self._tell(AlarmChanged(alarm))
