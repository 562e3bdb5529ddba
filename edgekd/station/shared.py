"""What all stations of a process share: one inspector, one record, one clock and one series of numbers."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from edgekd.station.clock import Clock
from edgekd.station.ports import InspectorPort, RecipesPort
from edgekd.station.recorder import Recorder


class Numbers:
    """Ids of results and acquisitions, which rise by one with each, over restarts too.

    Args:
        result: The last one that was given to a result.
        acquisition: Likewise.
    """

    def __init__(self, result: int = 0, acquisition: int = 0) -> None:
        self._results = itertools.count(result + 1)
        self._acquisitions = itertools.count(acquisition + 1)

    def next_result(self) -> int:
        """An id that no result has."""
        return next(self._results)

    def next_acquisition(self) -> int:
        """An id that no acquisition has."""
        return next(self._acquisitions)


@dataclass(frozen=True)
class Shared:
    """What all stations of a process share.

    Attributes:
        inspector: Cameras and engines.
        recorder: The record.
        recipes: Where recipes are read.
        numbers: Of results and acquisitions.
        clock: The time.
        simulator: Whether everything is simulated, the PLC too.
    """

    inspector: InspectorPort
    recorder: Recorder
    recipes: RecipesPort
    numbers: Numbers = field(default_factory=Numbers)
    clock: Clock = field(default_factory=Clock)
    simulator: bool = False
