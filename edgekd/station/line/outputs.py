"""Digital outputs of a Jetson: a pulse for a verdict, a level for ready; off at the start, at the end and at a fault.

A fault ends no pulse of NG or ERROR: the part that it belongs to would pass.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from edgekd.errors import EdgekdError, MachineError, one_line
from edgekd.result import Verdict
from edgekd.station.configuration import OutputsConfiguration
from edgekd.station.events import Event, Published, StateChanged, Subscription
from edgekd.station.parts import Outcome
from edgekd.station.ports import StationPort
from edgekd.station.states import State
from edgekd.station.tasks import within


class Pins(Protocol):
    """The outputs that a board has, by their numbers on its header."""

    def claim(self, pins: Sequence[int]) -> None:
        """Makes them outputs, off."""

    def write(self, pin: int, on: bool) -> None:
        """Turns one on or off."""

    def release(self, pins: Sequence[int]) -> None:
        """Gives them back, off."""


class JetsonPins:
    """The 40-pin header of a Jetson, by Jetson.GPIO, which JetPack brings.

    Raises:
        MachineError: It is not installed, or this is not a Jetson.
    """

    def __init__(self) -> None:
        try:
            from Jetson import GPIO
        except Exception as error:  # It looks for a Jetson while it is imported.
            raise MachineError(
                f"digital outputs need a Jetson with its package Jetson.GPIO: {one_line(error)}; or name no outputs"
            ) from error
        self._gpio: Any = GPIO
        GPIO.setwarnings(False)
        GPIO.setmode(GPIO.BOARD)

    def claim(self, pins: Sequence[int]) -> None:
        self._gpio.setup(list(pins), self._gpio.OUT, initial=self._gpio.LOW)

    def write(self, pin: int, on: bool) -> None:
        self._gpio.output(pin, self._gpio.HIGH if on else self._gpio.LOW)

    def release(self, pins: Sequence[int]) -> None:
        self._gpio.output(list(pins), self._gpio.LOW)
        self._gpio.cleanup(list(pins))


class Outputs:
    """Shows a station's verdicts on digital outputs.

    An ERROR pulses NG too, also that of a trigger that was refused, and so does an OK that is only simulated, or that
    another answer has overtaken: whoever looks at one output rejects. A verdict ends the pulse of the one before.

    Args:
        configuration: Which output is wired where.
        station: Whose verdicts.
        pins: Of the board; None for those of this Jetson.

    Raises:
        EdgekdError: Two outputs have one pin.
        MachineError: This machine has no pins.
    """

    def __init__(self, configuration: OutputsConfiguration, station: StationPort, pins: Pins | None = None) -> None:
        pins_named = (configuration.ok, configuration.ng, configuration.error, configuration.ready)
        self._wired = [pin for pin in pins_named if pin is not None]
        if len(set(self._wired)) < len(self._wired):
            raise EdgekdError(f"station '{station.name}': two of its outputs have one pin: give each its own")
        self._configuration = configuration
        self._station = station
        self._pins = JetsonPins() if pins is None else pins
        self._on: set[int] = set()
        self._pulse_ends: float | None = None  # By `time.monotonic()`.

    async def run(self) -> None:
        """Follows the station until it is cancelled; then all outputs are off."""
        events = self._station.events.subscribe()
        try:
            with self._claimed():
                self._show_ready()
                await self._follow(events)
        finally:
            events.close()

    @contextlib.contextmanager
    def _claimed(self) -> Iterator[None]:
        self._pins.claim(self._wired)
        try:
            yield
        finally:
            self._pins.release(self._wired)

    async def _follow(self, events: Subscription) -> None:
        while True:
            left = None if self._pulse_ends is None else self._pulse_ends - time.monotonic()
            try:
                event = await within(left, events.next())
            except asyncio.TimeoutError:
                self._end_pulse()
            else:
                self._happened(event)

    def _happened(self, event: Event) -> None:
        if isinstance(event, Published):
            self._published(event.outcome)
        elif isinstance(event, StateChanged) and event.state is State.FAULT:
            self._write(self._configuration.ok, False)
        self._show_ready()

    def _published(self, outcome: Outcome) -> None:
        """Pulses: what rejects always, OK only where it is the station's last answer."""
        self._end_pulse()
        for pin in self._pins_of(outcome):
            self._write(pin, True)
        self._pulse_ends = time.monotonic() + self._configuration.pulse_ms / 1000

    def _pins_of(self, outcome: Outcome) -> tuple[int | None, ...]:
        wired = self._configuration
        if outcome.verdict is Verdict.ERROR:
            return (wired.ng, wired.error)
        snapshot = self._station.snapshot()
        if outcome.verdict is Verdict.OK and snapshot.outcome is outcome and snapshot.shows_ok:
            return (wired.ok,)
        return (wired.ng,)

    def _end_pulse(self) -> None:
        self._pulse_ends = None
        for pin in (self._configuration.ok, self._configuration.ng, self._configuration.error):
            self._write(pin, False)

    def _show_ready(self) -> None:
        self._write(self._configuration.ready, self._station.snapshot().trigger_ready)

    def _write(self, pin: int | None, on: bool) -> None:
        """Turns an output on or off, where it is wired."""
        if pin is not None and on != (pin in self._on):
            self._pins.write(pin, on)
            (self._on.add if on else self._on.discard)(pin)
