"""The structured text on the page of the PLC: its names, and what it does with a station that is there, or restarts."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path
from typing import Any

import pytest

from edgekd.station.error_codes import ErrorCode
from edgekd.station.line.modbus_map import (
    BY_NAME,
    HOLDING_SIGNALS,
    INPUT_SIGNALS,
    Area,
    bit,
    decode,
    encode,
    status_bits,
)
from edgekd.station.line.modbus_unit import Peer, Unit
from edgekd.station.ports import Reply

from ..core.fakes import BAD, JOB, SECONDS, bench, inspected
from .modbus_client import within_patience

PAGE = Path(__file__).parents[3] / "docs" / "station" / "plc.md"
FASTER = 20  # The program's timers.
TAB = "    "
WORDS = {"AND": "and", "OR": "or", "NOT": "not", "TRUE": "True", "FALSE": "False", "=": "==", "<>": "!="}
STATUS = [name for name, signal in BY_NAME.items() if signal.area is Area.DISCRETE_INPUT]
COILS = [name for name, signal in BY_NAME.items() if signal.area is Area.COIL]


def program() -> str:
    """Without comments and declarations."""
    text = re.search(r"^```iecst\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)[1]
    return re.sub(r"\(\*.*?\*\)|^VAR.*?^END_VAR$", "", text, flags=re.DOTALL | re.MULTILINE)


def expression(text: str) -> str:
    return re.sub(r"<>|=|\b[A-Z]+\b", lambda found: WORDS.get(found[0], found[0]), text)


def in_python(text: str) -> str:
    """The program, statement by statement: as much of structured text as it uses."""
    lines, depth = [], 0
    for statement in re.findall(r"\s*(?:\d+:|.*?(?:\bOF\b|\bTHEN\b|;))", text.replace("\n", " ")):
        statement = statement.strip()
        if found := re.fullmatch(r"(\d+):", statement):
            lines.append(f"elif case == {found[1]}:")
        elif statement == "CASE Step OF":
            lines += ["case = Step", "if False: pass"]
            depth = 1
        elif found := re.fullmatch(r"(IF|ELSIF) (.*) THEN", statement):
            depth += found[1] == "IF"
            lines.append(f"{TAB * (depth - 1)}{found[1].lower().replace('elsif', 'elif')} {expression(found[2])}:")
        elif statement in ("END_IF;", "END_CASE;"):
            depth -= 1
        elif found := re.fullmatch(r"(\w+)\(IN := (.*), PT := T#(\d+)(MS|S)\);", statement):
            seconds = int(found[3]) / (1000 if found[4] == "MS" else 1)
            lines.append(f"{found[1]}({expression(found[2])}, {seconds})")
        else:
            name, _, value = statement.rstrip(";").partition(" := ")
            assert re.fullmatch(r"\w+", name), statement
            lines.append(f"{TAB * depth}{name} = {expression(value)}")
    return "\n".join(lines)


class Timer:
    """A TON."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.Q = False

    def __call__(self, on: bool, seconds: float) -> None:
        now = FASTER * time.monotonic()
        self.since = (now if self.since is None else self.since) if on else None
        self.Q = self.since is not None and now - self.since >= seconds


class Plc:
    """Runs the program, in each cycle between a reading and a write."""

    def __init__(self, part_id: int = 0) -> None:
        self.code = compile(in_python(program()), str(PAGE), "exec")
        self.peer = Peer("plc")
        self.names: dict[str, Any] = dict.fromkeys(BY_NAME, 0)
        self.names.update(Step=0, PartId=part_id, PassPart=False, RejectPart=False, Refused=Timer(), Late=Timer())
        self.names.update(PartInPlace=False, WantedJob=JOB, AcknowledgeButton=False)

    def cycle(self, unit: Unit | None) -> None:
        """One cycle; without a unit the connection is gone."""
        if unit is not None:
            registers = unit.read_inputs()
            bits = status_bits(registers)
            self.names.update({name: bool(bits & bit(name)) for name in STATUS})
            self.names.update(decode(INPUT_SIGNALS, registers, "high_first"))
        exec(self.code, {"__builtins__": {}}, self.names)
        assert not (self.names["PassPart"] and self.names["RejectPart"])
        if unit is not None:
            self.write(unit)

    def write(self, unit: Unit) -> None:
        coils = sum(bit(name) for name in COILS if self.names[name])
        values = {"COILS": coils, "SET_PART_ID": self.names["SET_PART_ID"]}
        assert unit.write(self.peer, 0, encode(HOLDING_SIGNALS, values, 32, "high_first")) is None

    async def until(self, unit: Unit | None, **values: Any) -> None:
        end = time.monotonic() + SECONDS
        while any(self.names[name] != value for name, value in values.items()):
            assert time.monotonic() < end, (values, {name: self.names[name] for name in (*values, "Step", "STATE")})
            self.cycle(unit)
            await asyncio.sleep(0.001)

    async def part(self, unit: Unit) -> bool:
        """Whether the next part passes."""
        self.names["PartInPlace"] = True
        await self.until(unit, Step=30)
        passes = self.names["PassPart"]
        assert self.names["RejectPart"] is not passes
        await self.leaves(unit)
        return passes

    async def leaves(self, unit: Unit) -> None:
        self.names["PartInPlace"] = False
        await self.until(unit, Step=0)
        assert not self.names["PassPart"]
        assert not self.names["RejectPart"]


def unit_of(made) -> Unit:
    return Unit(made.station, "high_first", 0)


def test_the_names_in_capitals_are_those_of_the_map_and_only_what_a_plc_writes_is_written():
    text = program()
    named = set(re.findall(r"\b[A-Z]+(?:_[A-Z]+)+\b|\b(?:TRIGGER|HEARTBEAT|JOB)\b", text)) - {"END_IF", "END_CASE"}
    assert named <= set(BY_NAME)
    assert named >= {"SET_ONLINE", "TRIGGER_ENABLE", "TRIGGER", "RESULTS_ACK", "CLEAR_ERROR", "SET_PART_ID"}
    for name in set(re.findall(r"^\s*([A-Z_]+) := ", text, re.MULTILINE)):
        assert BY_NAME[name].area in (Area.COIL, Area.HOLDING_REGISTER), name


def test_a_good_part_passes_and_every_other_is_rejected_and_each_result_is_acknowledged():
    async def line():
        async with bench(online=False) as made:
            plc, unit = Plc(), unit_of(made)
            answers = [inspected(), inspected(BAD), inspected(error=ErrorCode.IMAGE_BLACK), inspected()]
            for answer, passes in zip(answers, (True, False, False, True), strict=True):
                made.inspector.answer = answer
                assert await plc.part(unit) is passes
            await made.written()
            assert [row.part.part_id for row in made.record.rows] == [1, 2, 3, 4]
            assert [how for _, how in made.record.delivered] == ["acked"] * 4

    within_patience(line())


@pytest.mark.parametrize("first", ["write", "reading"])
def test_a_station_that_restarts_with_a_part_in_progress_costs_that_part_and_no_other(first):
    async def line():
        plc = Plc()
        async with bench(online=False) as made:
            plc.names["PartInPlace"] = True
            await plc.until(unit_of(made), Step=20)
        async with bench(online=False, answer=inspected()) as made:
            unit = unit_of(made)
            if first == "write":
                plc.write(unit)
            await plc.until(unit, RejectPart=True)
            assert plc.names["MISSED_TRIGGER"] is (first == "write")
            await plc.leaves(unit)
            assert await plc.part(unit)
            await made.written()
            rows = [(row.part.part_id, row.error) for row in made.record.rows]
            assert rows == [(1, ErrorCode.TRIGGER_DISABLED)] * (first == "write") + [(2, ErrorCode.NONE)]
            plc.names["AcknowledgeButton"] = True
            await plc.until(unit, MISSED_TRIGGER=False)

    within_patience(line())


@pytest.mark.parametrize("verdict", [inspected(), inspected(BAD)], ids=["good", "bad"])
def test_a_connection_that_is_gone_too_long_costs_the_part_and_its_late_result_is_not_the_next_ones(verdict):
    async def line():
        async with bench(online=False) as made:
            plc, unit = Plc(), unit_of(made)
            plc.names["PartInPlace"] = True
            await plc.until(unit, Step=20)
            await plc.until(None, RejectPart=True)
            made.inspector.under_way[1].set_result(inspected(error=ErrorCode.ENGINE_FAILED))
            made.inspector.answer = verdict
            await plc.leaves(unit)
            assert await plc.part(unit) is (verdict.score != BAD)
            await made.written()
            assert [how for _, how in made.record.delivered] == ["acked", "acked"]

    within_patience(line())


def test_a_plc_that_restarts_acknowledges_the_result_of_before_and_inspects_its_part_anew():
    async def line():
        async with bench(online=False, answer=inspected(BAD)) as made:
            plc, unit = Plc(), unit_of(made)
            plc.names["PartInPlace"] = True
            await plc.until(unit, Step=20)
            while not made.station.snapshot().results_ready:
                await asyncio.sleep(0)
            unit.gone(plc.peer)
            plc, made.inspector.answer = Plc(part_id=plc.names["PartId"]), inspected()
            assert await plc.part(unit)
            await made.written()
            assert [row.part.part_id for row in made.record.rows] == [1, 2]

    within_patience(line())


def test_a_trigger_that_is_refused_costs_its_part():
    async def line():
        async with bench(online=False, answer=inspected()) as made:
            plc, unit = Plc(), unit_of(made)
            take = made.station.trigger
            made.station.trigger = lambda part, source: Reply(ErrorCode.TRIGGER_NOT_READY)
            assert not await plc.part(unit)
            made.station.trigger = take
            assert await plc.part(unit)

    within_patience(line())


def test_no_part_is_triggered_with_another_job_or_while_the_line_is_to_stop():
    async def line():
        async with bench(online=False, answer=inspected()) as made:
            plc, unit = Plc(), unit_of(made)
            plc.names.update(PartInPlace=True, WantedJob=JOB + 1)
            await plc.until(unit, TRIGGER_READY=True)
            plc.cycle(unit)
            assert plc.names["Step"] == 0
            plc.names["WantedJob"] = JOB
            made.station._production.consequences.stop_line = True
            plc.cycle(unit)
            assert plc.names["Step"] == 0
            plc.names["AcknowledgeButton"] = True
            await plc.until(unit, PassPart=True)

    within_patience(line())
