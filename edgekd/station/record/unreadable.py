"""A record that cannot be read, in place of a reader of it: the page is served nonetheless, and says what is wrong."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any, NoReturn

from edgekd.errors import MachineError
from edgekd.station.record.reading import RecordReader


class UnreadableRecord(RecordReader):
    """Refuses whatever is to be read.

    Args:
        path: The database.
        why: What is wrong with it, in one line.
    """

    def __init__(self, path: Path, why: str) -> None:
        self.path, self._why = path, why
        self._lock = threading.Lock()

    def read(self, query: Any) -> NoReturn:
        """Refuses.

        Raises:
            MachineError: Always.
        """
        raise MachineError(self._why)

    def trail(self) -> NoReturn:
        """Refuses likewise."""
        raise MachineError(self._why)

    def close(self) -> None:
        """There is nothing to close."""
