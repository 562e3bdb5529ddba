"""Sets a GenICam camera by GenICam's Standard Features Naming Convention, and by the older names of GigE Vision 1."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from edgekd.errors import one_line
from edgekd.station.cameras.driver import near, refused
from edgekd.station.cameras.pixel_formats import is_known
from edgekd.station.recipes import FREE_RUN, HARDWARE, SOFTWARE, CameraSettings

EXPOSURE = ("ExposureTime", "ExposureTimeAbs", "ExposureTimeRaw")
GAIN = ("Gain", "GainAbs", "GainRaw")
BALANCE = ("BalanceRatio", "BalanceRatioAbs")
SOURCES = {SOFTWARE: "Software"}


class Features(Protocol):
    """A camera's features, whatever library reaches them."""

    def has(self, name: str) -> bool:
        """Whether the camera has a feature and it is available."""

    def read(self, name: str) -> float | str:
        """Its value."""

    def write(self, name: str, value: float | str) -> None:
        """Sets it; raises what the library raises where that fails."""

    def choices(self, name: str) -> tuple[str, ...]:
        """The values of an enumeration."""


class Setting:
    """Sets what a recipe asks for, and collects what went wrong.

    Args:
        name: The camera's.
        features: Its features.
    """

    def __init__(self, name: str, features: Features) -> None:
        self._name, self._features = name, features
        self._complaints: list[str] = []
        self._done: dict[str, object] = {}

    def apply(self, settings: CameraSettings) -> dict[str, object]:
        """Sets and reads back.

        Args:
            settings: What a recipe asks for.

        Raises:
            StationError: LOADING_FAILED, with all that went wrong.
        """
        # The pixel format and the region come first: exposure and gain may be limited by them.
        self._set_trigger(settings)
        self._set_pixel_format(settings.pixel_format)
        self._set_region(settings.region)
        self._switch_off("ExposureAuto", settings.exposure_us)
        self._set_number("exposure_us", EXPOSURE, settings.exposure_us)
        self._switch_off("GainAuto", settings.gain)
        self._set_number("gain", GAIN, settings.gain)
        self._set_white_balance(settings.white_balance)
        if self._complaints:
            raise refused(self._name, self._complaints)
        return self._done

    @contextmanager
    def _setting(self, setting: str, value: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # Each library has kinds of its own.
            self._complaints.append(f"refuses {setting} {_shown(value)}: {words_of(error)}")

    def _choose(self, feature: str, value: str) -> None:
        """Sets an enumeration, where it is not so already: some cameras lock what cannot be otherwise."""
        if self._features.read(feature) != value:
            self._features.write(feature, value)
        got = self._features.read(feature)
        if got != value:
            raise ValueError(f"{feature} reads back {got}")

    def _switch_off(self, automatic: str, value: object) -> None:
        if value is not None and self._features.has(automatic):
            with self._setting(automatic, "Off"):
                self._choose(automatic, "Off")

    def _set_trigger(self, settings: CameraSettings) -> None:
        mode = settings.trigger
        self._done["trigger"] = mode
        if not self._features.has("TriggerMode"):
            if mode != FREE_RUN:
                self._complaints.append(f'has no triggers: set trigger = "{FREE_RUN}" in the recipe')
            return
        with self._setting("trigger", mode):
            if self._features.has("AcquisitionMode"):
                self._choose("AcquisitionMode", "Continuous")
            if self._features.has("TriggerSelector"):
                self._all_off_but("FrameStart")
            if mode != FREE_RUN:
                self._choose("TriggerSource", SOURCES.get(mode, settings.line))
            self._choose("TriggerMode", "Off" if mode == FREE_RUN else "On")
        if mode == HARDWARE:
            self._done["line"] = settings.line

    def _all_off_but(self, selected: str) -> None:
        """Other triggers, such as that of a whole sequence, would keep the camera waiting."""
        for other in self._features.choices("TriggerSelector"):
            if other != selected:
                self._features.write("TriggerSelector", other)
                if self._features.read("TriggerMode") != "Off":
                    self._features.write("TriggerMode", "Off")
        self._choose("TriggerSelector", selected)

    def _set_pixel_format(self, wanted: str | None) -> None:
        if wanted is not None:
            possible = self._features.choices("PixelFormat")
            if wanted not in possible:
                self._complaints.append(f"has no pixel_format {wanted}: set one of {', '.join(possible)}")
                return
            with self._setting("pixel_format", wanted):
                self._choose("PixelFormat", wanted)
        has = str(self._features.read("PixelFormat"))
        self._done["pixel_format"] = has
        if not is_known(has):
            self._complaints.append(f"has the pixel format {has}, which cannot be read: set another as pixel_format")

    def _set_region(self, wanted: tuple[int, int, int, int] | None) -> None:
        names = ("OffsetX", "OffsetY", "Width", "Height")
        if wanted is not None:
            with self._setting("region", wanted):
                # The offsets go to 0 first: the sensor may not be left meanwhile.
                for name, value in zip(("OffsetX", "OffsetY"), (0, 0), strict=True):
                    if self._features.has(name):
                        self._features.write(name, value)
                for name, value in zip(
                    ("Width", "Height", "OffsetX", "OffsetY"), (*wanted[2:], *wanted[:2]), strict=True
                ):
                    if value or self._features.has(name):
                        self._features.write(name, value)
        has = tuple(int(self._features.read(name)) if self._features.has(name) else 0 for name in names)
        self._done["region"] = has
        if wanted is not None and has != wanted and not self._complained("region"):
            self._complaints.append(f"reads back region {list(has)} after {list(wanted)} was set: set one that it has")

    def _complained(self, setting: str) -> bool:
        return any(complaint.startswith(f"refuses {setting} ") for complaint in self._complaints)

    def _set_number(self, setting: str, names: tuple[str, ...], wanted: float | None) -> None:
        name = next((name for name in names if self._features.has(name)), None)
        if name is None:
            if wanted is not None:
                self._complaints.append(f"has no {setting} that could be set: leave it out of the recipe")
            return
        if wanted is not None:
            with self._setting(setting, wanted):
                self._features.write(name, wanted)
        self._done[setting] = got = float(self._features.read(name))
        if wanted is not None and not near(wanted, got) and not self._complained(setting):
            self._complaints.append(f"reads back {setting} {got:g} after {wanted:g} was set: set one that it has")

    def _set_white_balance(self, wanted: tuple[float, float] | None) -> None:
        if wanted is None:
            return
        name = next((name for name in BALANCE if self._features.has(name)), None)
        if name is None or not self._features.has("BalanceRatioSelector"):
            self._complaints.append("has no white_balance that could be set: leave it out of the recipe")
            return
        self._switch_off("BalanceWhiteAuto", wanted)
        got = []
        with self._setting("white_balance", wanted):
            for colour, ratio in zip(("Red", "Blue"), wanted, strict=True):
                self._choose("BalanceRatioSelector", colour)
                self._features.write(name, ratio)
                got.append(float(self._features.read(name)))
            self._done["white_balance"] = tuple(got)
            if not all(math.isclose(*pair, rel_tol=0.02) for pair in zip(wanted, got, strict=True)):
                raise ValueError(f"{name} reads back {got}")


def words_of(error: Exception) -> str:
    """What a library's error says, without GLib's own numbers.

    Args:
        error: Any.
    """
    message = getattr(error, "message", None)
    return message.partition("\n")[0] if isinstance(message, str) and message else one_line(error)


def _shown(value: object) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
