"""The topics of a station on an MQTT broker; docs/station lists them for those who subscribe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from edgekd.errors import EdgekdError
from edgekd.station.error_codes import ErrorCode
from edgekd.station.line import payloads
from edgekd.station.snapshot import Snapshot

LONGEST_BASE = 256


@dataclass(frozen=True)
class Topics:
    """The topics below a station's base.

    Attributes:
        base: Such as edgekd/v1/site/line/station.
    """

    base: str

    @property
    def status(self) -> str:
        """Whether the station is online, and its birth; also the topic of the last will."""
        return f"{self.base}/status"

    @property
    def state(self) -> str:
        """What the station is doing."""
        return f"{self.base}/state"

    @property
    def recipe(self) -> str:
        """The recipe that judges."""
        return f"{self.base}/recipe"

    @property
    def counters(self) -> str:
        """Parts since the last reset."""
        return f"{self.base}/counters"

    @property
    def result(self) -> str:
        """Each answer."""
        return f"{self.base}/result"

    @property
    def self_test(self) -> str:
        """Each self-test that ended."""
        return f"{self.base}/selftest"

    @property
    def audit(self) -> str:
        """Each change that somebody made."""
        return f"{self.base}/audit"

    def alarm(self, code: ErrorCode) -> str:
        """An alarm that stands; empty once it is gone."""
        return f"{self.base}/alarm/{int(code)}"

    def command(self, name: str) -> str:
        """Where others send a command."""
        return f"{self.base}/cmd/{name}"

    def reply(self, name: str) -> str:
        """Where a command is answered."""
        return f"{self.base}/cmd/{name}/reply"


def topics_of(base: str, site: str, line: str, station: str) -> Topics:
    """The topics of a station.

    Args:
        base: `mqtt.base` of the configuration.
        site: Where the line stands.
        line: Its name.
        station: The station's name.

    Raises:
        EdgekdError: The base cannot begin a topic.
    """
    if not base or len(base) > LONGEST_BASE or base[0] in "/$" or base[-1] == "/" or set(base) & set("+#\0"):
        raise EdgekdError(
            f"mqtt.base must be at most {LONGEST_BASE} characters such as edgekd/v1, without + and #, "
            f"and neither begin with $ nor begin or end with /, got {base!r}"
        )
    return Topics(f"{base}/{site}/{line}/{station}")


def retained_of(topics: Topics, snapshot: Snapshot, cause: str, since_utc_ms: int) -> dict[str, dict[str, Any] | None]:
    """What a station's retained topics hold at one moment, but for its status; None for alarms that do not stand.

    Args:
        topics: Of the station.
        snapshot: What it shows.
        cause: Why its state was entered.
        since_utc_ms: When it was.
    """
    held: dict[str, dict[str, Any] | None] = {
        topics.state: dict(payloads.state(snapshot, cause, since_utc_ms)),
        topics.recipe: dict(payloads.recipe(snapshot.station, snapshot.recipe)),
        topics.counters: dict(payloads.counters(snapshot.station, snapshot.counters)),
    }
    held.update((topics.alarm(code), None) for code in ErrorCode if code is not ErrorCode.NONE)
    for alarm in reversed(snapshot.alarms):  # Of several with one code the oldest shows.
        held[topics.alarm(alarm.code)] = dict(payloads.alarm(snapshot.station, alarm))
    return held
