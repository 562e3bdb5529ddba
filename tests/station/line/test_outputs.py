"""Digital outputs. No Jetson is here: a recorder stands for the few calls, as Jetson.GPIO 2.1.13 has them."""

import asyncio
import sys
import types

import pytest

from edgekd.errors import EdgekdError, MachineError
from edgekd.result import Verdict
from edgekd.station.configuration import OutputsConfiguration
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import Published
from edgekd.station.line.outputs import JetsonPins, Outputs
from edgekd.station.parts import Part
from edgekd.station.states import State

from .scripted_station import ScriptedStation, outcome_of

OK, NG, ERROR, READY = 7, 11, 13, 15
WIRED = OutputsConfiguration(ok=OK, ng=NG, error=ERROR, ready=READY, pulse_ms=30)


class RecordedPins:
    def __init__(self) -> None:
        self.on: dict[int, bool] = {}
        self.calls: list[tuple[object, ...]] = []
        self.released = False

    def claim(self, pins):
        self.on = dict.fromkeys(pins, False)

    def write(self, pin, on):
        assert on != self.on[pin]
        self.on[pin] = on
        self.calls.append((pin, on))

    def release(self, pins):
        self.on = dict.fromkeys(pins, False)
        self.released = True

    def lit(self) -> set[int]:
        return {pin for pin, on in self.on.items() if on}


def follow(play, configuration=WIRED) -> RecordedPins:
    """Runs the outputs of a station while a test plays."""
    pins = RecordedPins()

    async def run():
        station = ScriptedStation()
        outputs = asyncio.create_task(Outputs(configuration, station, pins).run())
        await asyncio.sleep(0.005)
        assert pins.lit() == set()
        await play(station, pins)
        outputs.cancel()
        await asyncio.wait({outputs})
        assert outputs.cancelled()

    asyncio.run(asyncio.wait_for(run(), 5))
    assert pins.released
    assert pins.lit() == set()
    return pins


async def seen() -> None:
    for _ in range(500):  # Turns of the loop, of which each event takes a few.
        await asyncio.sleep(0)


async def until_off(pins: RecordedPins) -> None:
    async def off():
        while pins.lit() & {OK, NG, ERROR}:
            await asyncio.sleep(0.002)

    await asyncio.wait_for(off(), 1)


@pytest.mark.parametrize(
    ("verdict", "simulated", "expected"),
    [
        (Verdict.OK, False, {OK}),
        (Verdict.NG, False, {NG}),
        (Verdict.ERROR, False, {NG, ERROR}),
        (Verdict.OK, True, {NG}),
        (Verdict.ERROR, True, {NG, ERROR}),
    ],
)
def test_a_verdict_is_a_pulse_and_everything_but_an_ok_of_the_line_rejects(verdict, simulated, expected):
    async def play(station, pins):
        station.part = Part(1)
        station.finish(verdict, simulated=simulated)
        await seen()
        assert pins.lit() == expected
        await until_off(pins)
        assert {pin for pin, _ in pins.calls} == expected

    follow(play)


def test_the_next_verdict_ends_the_pulse_of_the_one_before():
    async def play(station, pins):
        for number, verdict in enumerate((Verdict.OK, Verdict.NG, Verdict.OK), 1):
            station.part = Part(number)
            station.finish(verdict)
            await seen()
            assert pins.lit() == {OK if verdict is Verdict.OK else NG}

    follow(play)


def test_ready_follows_the_station():
    async def play(station, pins):
        station.enable_triggers(True, "modbus")
        station.show(State.BLOCKED)
        await seen()
        assert pins.lit() == {READY}
        station.held.add(ErrorCode.PLC_SILENT)
        station.show(State.READY)
        await seen()
        assert pins.lit() == set()

    follow(play)


def test_a_fault_turns_ok_off_at_once_and_lets_a_reject_end_by_itself():
    async def play(station, pins):
        station.part = Part(1)
        station.finish(Verdict.OK)
        await seen()
        station.show(State.FAULT)
        await seen()
        assert pins.lit() == set()
        station.part = Part(2)
        station.finish(Verdict.ERROR)
        station.show(State.OFFLINE)
        station.show(State.FAULT)
        await seen()
        assert pins.lit() == {NG, ERROR}
        await until_off(pins)

    follow(play)


def test_an_ok_that_another_answer_has_overtaken_rejects():
    async def play(station, pins):
        station.part = Part(2)
        station.finish(Verdict.NG)
        station.events.publish(Published(outcome_of(Part(1), Verdict.OK, result_id=77)))
        await seen()
        assert pins.lit() == {NG}
        assert (OK, True) not in pins.calls


def test_the_error_of_a_trigger_that_was_refused_rejects():
    async def play(station, pins):
        station.part = Part(2)
        station.finish(Verdict.OK)
        station.events.publish(Published(outcome_of(Part(3), Verdict.ERROR, result_id=78)))
        await seen()
        assert pins.lit() == {NG, ERROR}

    follow(play)


def test_what_is_not_wired_is_not_touched():
    async def play(station, pins):
        for number, verdict in enumerate(Verdict, 1):
            station.part = Part(number)
            station.finish(verdict)
            await seen()
            assert pins.lit() == (set() if verdict is Verdict.OK else {NG})

    assert set(follow(play, OutputsConfiguration(ng=NG)).on) == {NG}


def test_an_output_that_fails_ends_the_outputs_with_its_error_and_turns_the_others_off():
    async def run():
        station, pins = ScriptedStation(), RecordedPins()
        outputs = asyncio.create_task(Outputs(WIRED, station, pins).run())
        await asyncio.sleep(0)
        pins.write = lambda pin, on: 1 / 0
        station.part = Part(1)
        station.finish(Verdict.OK)
        with pytest.raises(ZeroDivisionError):
            await outputs
        assert pins.released

    asyncio.run(asyncio.wait_for(run(), 5))


def test_two_outputs_on_one_pin_are_refused():
    with pytest.raises(EdgekdError, match="station 'left': two of its outputs have one pin"):
        Outputs(OutputsConfiguration(ok=7, ng=7), ScriptedStation(), RecordedPins())


@pytest.mark.parametrize("present", [False, True], ids=["not installed", "no Jetson"])
def test_without_a_jetson_the_error_says_what_is_needed(monkeypatch, present):
    class NoJetson(types.ModuleType):
        def __getattr__(self, name):
            raise RuntimeError("Could not determine Jetson model")

    monkeypatch.setitem(sys.modules, "Jetson", NoJetson("Jetson") if present else None)
    with pytest.raises(MachineError, match="digital outputs need a Jetson with its package"):
        Outputs(WIRED, ScriptedStation())


def test_the_pins_of_a_jetson_are_used_by_their_numbers_on_the_header(monkeypatch):
    calls = []

    def recorded(name):
        return lambda *arguments, **named: calls.append((name, *arguments, *named.items()))

    gpio = types.SimpleNamespace(BOARD=10, OUT=0, LOW=0, HIGH=1)
    for name in ("setwarnings", "setmode", "setup", "output", "cleanup"):
        setattr(gpio, name, recorded(name))
    package = types.ModuleType("Jetson")
    package.GPIO = gpio
    monkeypatch.setitem(sys.modules, "Jetson", package)
    pins = JetsonPins()
    pins.claim((7, 11))
    pins.write(7, True)
    pins.write(7, False)
    pins.release((7, 11))
    assert calls == [
        ("setwarnings", False),
        ("setmode", gpio.BOARD),
        ("setup", [7, 11], gpio.OUT, ("initial", gpio.LOW)),
        ("output", 7, gpio.HIGH),
        ("output", 7, gpio.LOW),
        ("output", [7, 11], gpio.LOW),
        ("cleanup", [7, 11]),
    ]
