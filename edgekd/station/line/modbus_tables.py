"""The Modbus map as tables: Markdown for people, CSV to import into a PLC project.

    python -m edgekd.station.line.modbus_tables docs/station

writes modbus_map.csv and modbus_map.md there.
"""

from __future__ import annotations

import csv
import io
import sys
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from edgekd.station.line.modbus_map import SIGNALS, Area, Signal


class _Access(NamedTuple):
    """How a PLC reaches an area: the first number in the notation from 1, read or write, the function codes."""

    first: int
    direction: str
    codes: str


INTRODUCTION = (
    "[The PLC](plc.md) describes the handshake. Addresses begin at 0.",
    "Values of several registers have their high word first, unless `word_order` says otherwise.",
    "A STRING(16) takes eight registers of two ASCII characters each: the first character is in the high byte, and",
    "the rest is filled with zeros. `word_order` concerns neither STRING nor ARRAY OF BYTE.",
)
WIDTH = 130  # Of a page's lines.
ACCESS: Mapping[Area, _Access] = {
    Area.COIL: _Access(1, "PLC writes", "1, 5, 15"),
    Area.DISCRETE_INPUT: _Access(10001, "PLC reads", "2"),
    Area.HOLDING_REGISTER: _Access(40001, "PLC writes", "3, 6, 16"),
    Area.INPUT_REGISTER: _Access(30001, "PLC reads", "4"),
}
COLUMNS = ("name", "area", "address", "reference", "registers", "type", "direction", "function_codes", "meaning")


def csv_table() -> str:
    """The whole map, a line a signal; `reference` is the address in the notation from 1, such as 30005."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for signal in SIGNALS:
        access = ACCESS[signal.area]
        place = (signal.address, f"{access.first + signal.address:05d}", signal.registers)
        use = (signal.kind.value, access.direction, access.codes, signal.meaning)
        writer.writerow((signal.name, signal.area.value, *place, *use))
    return text.getvalue()


def markdown_tables() -> str:
    """A table an area, with its heading."""
    return "\n".join(_markdown(area) for area in Area)


def _markdown(area: Area) -> str:
    access = ACCESS[area]
    codes = f"function code{'s' if ',' in access.codes else ''} {access.codes}"
    rows = [
        f"### {area.value.capitalize()}s ({access.direction}; {codes})",
        "",
        "| address | name | type | meaning |",
        "|---|---|---|---|",
        *(_row(signal) for signal in SIGNALS if signal.area is area),
        "",
    ]
    return "\n".join(rows)


def _row(signal: Signal) -> str:
    last = signal.address + signal.registers - 1
    place = str(signal.address) if signal.registers == 1 else f"{signal.address}-{last}"
    return f"| {place} | {signal.name} | {signal.kind.value} | {signal.meaning} |"


def write_tables(folder: Path) -> None:
    """Writes both into a folder."""
    introduction = textwrap.fill(" ".join(INTRODUCTION), WIDTH)
    (folder / "modbus_map.csv").write_text(csv_table())
    (folder / "modbus_map.md").write_text(f"# Modbus map\n\n{introduction}\n\n{markdown_tables()}")


def main(words: Iterable[str]) -> None:
    """Writes the tables into the folder that the command names."""
    (folder,) = words
    write_tables(Path(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
