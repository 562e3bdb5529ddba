"""Whom the inspector's client tells what happens unasked."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.parts import Inspected
from edgekd.station.ports import StoredImage

logger = logging.getLogger(__name__)


def _ignore(*_: object) -> None:
    """Where nobody listens."""


@dataclass(frozen=True)
class Listeners:
    """Called in the event loop; none may wait.

    Attributes:
        on_camera: A camera was opened or lost: its name, whether it is there, why it is not, the same in one line.
        on_died: The process has ended or was killed: why, in one line.
        on_restarted: It runs again, and judges by the same recipes as before.
        on_failing: It has died three times in ten minutes: what happened last, in one line. It is still restarted.
        on_unloaded: After a restart a station's recipe could not be loaded again: the station, and why.
        on_late: An answer that came after its deadline: the station, and the answer.
        on_stored: An image was written.
        on_frame: A frame came to a station that its camera triggers: the station, and `time.monotonic()` of the frame.
        on_warning: Something that changes no verdict, such as an image that was not written: in one line.
    """

    on_camera: Callable[[str, bool, ErrorCode, str], None] = _ignore
    on_died: Callable[[str], None] = _ignore
    on_restarted: Callable[[], None] = _ignore
    on_failing: Callable[[str], None] = _ignore
    on_unloaded: Callable[[str, StationError], None] = _ignore
    on_late: Callable[[str, Inspected], None] = _ignore
    on_stored: Callable[[StoredImage], None] = _ignore
    on_frame: Callable[[str, float], None] = _ignore
    on_warning: Callable[[str], None] = _ignore


def tell(listener: Callable[..., None], *said: object) -> None:
    """Calls a listener; what fails there must not end what watches the inspector.

    Args:
        listener: To be called.
        said: What it is told.
    """
    try:
        listener(*said)
    except Exception:
        logger.exception("a listener of the inspector failed")
