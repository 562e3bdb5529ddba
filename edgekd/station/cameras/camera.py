"""What every camera can do, whatever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from edgekd.station.recipes import CameraSettings


@dataclass(frozen=True)
class Grabbed:
    """An image and where it stands among the camera's others.

    Attributes:
        image: uint8 or uint16, [H, W] (mono) or [H, W, 3] (BGR); `edgekd.data.images.as_bgr8` takes it.
        frame_id: The camera's own number of the frame; None where it has none.
        received: `time.monotonic()` when the whole image had come.
        bit_depth: Bits that the values use, 8 to 16, the lowest ones.
    """

    image: NDArray[Any]
    frame_id: int | None
    received: float
    bit_depth: int


class Camera(ABC):
    """A camera that is open. No method hangs, whatever the driver does; `grab` belongs to one thread at a time."""

    name: str

    @abstractmethod
    def apply(self, settings: CameraSettings) -> dict[str, object]:
        """Sets what a recipe asks for, and reads it back.

        Args:
            settings: What to set; what is None stays as it is.

        Returns:
            What was read back, by the settings' names. Exposure and gain may differ by the camera's step.

        Raises:
            StationError: LOADING_FAILED names each setting that the camera does not have, refuses, or reads back
                otherwise; CAMERA_LOST where it does not answer.
        """

    @abstractmethod
    def arm(self) -> None:
        """Makes the camera ready to take images.

        Raises:
            StationError: CAMERA_LOST.
        """

    @abstractmethod
    def grab(self, after: float, deadline: float, exposed: Callable[[], None]) -> Grabbed:
        """Takes the image that belongs to a trigger.

        Args:
            after: `time.monotonic()` of the trigger: nothing that was received before it counts.
            deadline: `time.monotonic()` by which to answer, with an image or without.
            exposed: Called once the part may move.

        Raises:
            StationError: ACQUISITION_TIMEOUT where a triggered camera sends nothing, IMAGE_STALE where a free-running
                one sends nothing new, IMAGE_INCOMPLETE, IMAGE_FORMAT, or CAMERA_LOST.
        """

    @abstractmethod
    def latest(self) -> Grabbed | None:
        """The newest image, for a live view: it says nothing of any part. None where there is none."""

    @property
    @abstractmethod
    def last_received(self) -> float | None:
        """When the newest image had come, by `time.monotonic()`; None where there is none."""

    @property
    @abstractmethod
    def hung(self) -> bool:
        """Whether its driver does not return from a call; only the end of the process frees what it holds."""

    @abstractmethod
    def close(self) -> None:
        """Gives the camera back, or leaves it where its driver hangs."""
