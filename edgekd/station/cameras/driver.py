"""What a kind of camera implements: plain calls that may block, all of them made in the camera's reader thread."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.recipes import FREE_RUN, SOFTWARE, CameraSettings

ROUNDING = 0.05  # Of a value; a camera's step is mostly a small part of it.

Pixels = tuple[NDArray[Any], int]  # An image and its bit depth.


@dataclass(frozen=True)
class RawFrame:
    """A frame as the driver has it, which is decoded only where somebody wants it.

    Attributes:
        load: Makes an image of it: calculates, and waits for nothing.
        received: `time.monotonic()`.
        frame_id: The camera's number of it.
        incomplete: Why it is not whole; "" where it is.
        stale: Why it may show something older than its arrival tells; "" where it does not.
    """

    load: Callable[[], Pixels]
    received: float
    frame_id: int | None = None
    incomplete: str = ""
    stale: str = ""


class Driver(ABC):
    """A kind of camera.

    Attributes:
        triggers: Trigger modes that it has.
        streams: Whether it sends images in any case, which must be taken so that none waits and grows old.
        numbered: Whether a gap in its frames' numbers means that an image was lost.
        open_s: How long opening may take.
        call_s: After so long any other call counts as one that hangs.
    """

    triggers: ClassVar[frozenset[str]] = frozenset({FREE_RUN})
    streams: ClassVar[bool] = False
    numbered: ClassVar[bool] = False
    open_s: ClassVar[float] = 5.0
    call_s: ClassVar[float] = 5.0

    def __init__(self, name: str) -> None:
        self.name = name
        self.cut: tuple[int, int, int, int] | None = None  # Region that is cut out here, where no camera does it.

    @abstractmethod
    def open(self) -> None:
        """Opens the camera; raises StationError CAMERA_LOST where it cannot."""

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        """Sets and reads back what a recipe asks for, while the camera is not armed."""
        self.cut = settings.region
        return only_settings(self, settings, {} if self.cut is None else {"region": self.cut})

    def arm(self) -> None:  # noqa: B027
        """Starts to take images, or to wait for triggers; frames are numbered anew."""

    def disarm(self) -> None:  # noqa: B027
        """Ends that: an image that was asked for and did not come never comes."""

    def trigger(self) -> None:
        """Asks for an image; only kinds whose `triggers` name software are asked."""
        raise TypeError(f"{type(self).__name__} has no software trigger")

    def check(self) -> None:  # noqa: B027
        """Raises StationError where the camera is known to be lost; called after each image and now and then."""

    def silence(self, settings: CameraSettings) -> str:
        """What to say where no image came in time.

        Args:
            settings: That the camera has.
        """
        if settings.trigger == FREE_RUN:
            return "sent no new image in time: check its cable and network"
        how = "was triggered" if settings.trigger == SOFTWARE else f"waited for a trigger at {settings.line}"
        return f"{how} and sent no image in time: check its exposure, trigger and cable"

    @abstractmethod
    def read(self, timeout_s: float) -> RawFrame | None:
        """The next frame; None where there is none in this time. Raises StationError where the camera is lost."""

    @abstractmethod
    def close(self) -> None:
        """Gives everything back, also after a failure."""

    def lost(self, reason: str) -> StationError:
        """The error for a camera that does not answer.

        Args:
            reason: What happened and what to do.
        """
        return StationError(ErrorCode.CAMERA_LOST, f"camera '{self.name}' {reason}")


def refused(name: str, complaints: Sequence[str]) -> StationError:
    """The error for settings that a camera does not take.

    Args:
        name: The camera's.
        complaints: One for each setting.
    """
    return StationError(ErrorCode.LOADING_FAILED, f"camera '{name}' {'; '.join(complaints)}")


def only_settings(
    driver: Driver, settings: CameraSettings, known: Mapping[str, object], complaints: Sequence[str] = ()
) -> dict[str, object]:
    """Refuses settings that a kind of camera does not have.

    Args:
        driver: Of the camera.
        settings: What a recipe asks for.
        known: What was set and read back already.
        complaints: What was already found wrong.

    Returns:
        The trigger, and what is known.
    """
    done = {"trigger": settings.trigger, **known}
    complaints = list(complaints)
    if settings.trigger not in driver.triggers:
        possible = " or ".join(f'"{mode}"' for mode in sorted(driver.triggers))
        complaints.append(f'has no trigger "{settings.trigger}": set it to {possible}')
    for setting in ("pixel_format", "exposure_us", "gain", "white_balance", "region"):
        if setting not in done and getattr(settings, setting) is not None:
            complaints.append(f"has no {setting} that could be set: leave it out of the recipe")
    if complaints:
        raise refused(driver.name, complaints)
    return done


def as_it_is(image: NDArray[Any]) -> Pixels:
    """What `RawFrame.load` gives of an image that is ready.

    Args:
        image: uint8, mono or BGR.
    """
    return image, 8


def near(wanted: float, got: float) -> bool:
    """Whether a camera rounded a value to its step, and no more.

    Args:
        wanted: What was set.
        got: What was read back.
    """
    return abs(got - wanted) <= ROUNDING * max(abs(wanted), 1)
