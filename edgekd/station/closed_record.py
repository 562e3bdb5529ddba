"""The record of a station that has none: nothing can be put there, and so no part is ever OK."""

from __future__ import annotations

from typing import Any, NoReturn

from edgekd.errors import MachineError
from edgekd.station.snapshot import Counters


class ClosedRecord:
    """Stands in for a record that is damaged, so that the PLC is answered, with ERROR, and sees the FAULT.

    Args:
        why: What is wrong with the record, in one line.
    """

    def __init__(self, why: str) -> None:
        self._why = why

    def begin(self, *entry: Any) -> NoReturn:
        """Refuses.

        Raises:
            MachineError: Always; likewise the others.
        """
        raise MachineError(self._why)

    write = deliver = late = note = stored = audit = review = reset_counters = begin

    def last_numbers(self) -> tuple[int, int]:
        """None are known."""
        return 0, 0

    def counters(self, station: str) -> Counters:
        """None are known."""
        return Counters()

    def close(self) -> None:
        """There is nothing to close."""
