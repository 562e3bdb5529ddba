"""The Modbus map: its addresses and encodings, and the tables that are made from it."""

import csv
import io
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.station.line.modbus_map import (
    BY_NAME,
    COILS,
    DISCRETE_INPUTS,
    HOLDING_REGISTERS,
    HOLDING_SIGNALS,
    INPUT_REGISTERS,
    INPUT_SIGNALS,
    SIGNALS,
    Area,
    Kind,
    bit,
    decode,
    encode,
)
from edgekd.station.line.modbus_tables import COLUMNS, csv_table, markdown_tables, write_tables

SIZES = {
    Area.COIL: COILS,
    Area.DISCRETE_INPUT: DISCRETE_INPUTS,
    Area.HOLDING_REGISTER: HOLDING_REGISTERS,
    Area.INPUT_REGISTER: INPUT_REGISTERS,
}
DOCS = Path(__file__).parents[3] / "docs" / "station"


def test_no_two_signals_share_an_address_or_a_name():
    places = [(signal.area, signal.address + n) for signal in SIGNALS for n in range(signal.registers)]
    assert len(set(places)) == len(places)
    assert len(BY_NAME) == len(SIGNALS)
    assert all(0 <= address < SIZES[area] for area, address in places)


@pytest.mark.parametrize(
    ("name", "address"),
    [("TRIGGER_ENABLE", 0), ("RESULTS_ACK", 2), ("PLC_HEARTBEAT", 15), ("RESULTS_READY", 6), ("RESULT_NG", 8),
     ("SIMULATED", 21), ("SET_PART_ID", 2), ("SET_LOT", 12), ("RESULT_ID", 4), ("VERDICT", 10), ("SEVERITY", 16),
     ("COUNT_ERROR", 29), ("RECIPE_DIGEST", 40), ("RESULT_TIME", 44), ("CHECK_FLOAT", 58)],
)  # fmt: skip
def test_a_signal_stands_where_plc_programs_expect_it(name, address):
    assert BY_NAME[name].address == address


def test_numbers_are_big_endian_with_the_high_word_first_unless_the_order_is_swapped():
    values = {"CHECK_INTEGER": 0x12345678, "CHECK_FLOAT": 1.5, "RESULT_TIME": 0x0001000200030004}
    high = encode(INPUT_SIGNALS, values, INPUT_REGISTERS, "high_first")
    assert high[56:60] == [0x1234, 0x5678, 0x3FC0, 0x0000]
    assert high[44:48] == [1, 2, 3, 4]
    low = encode(INPUT_SIGNALS, values, INPUT_REGISTERS, "low_first")
    assert low[56:60] == [0x5678, 0x1234, 0x0000, 0x3FC0]
    assert low[44:48] == [4, 3, 2, 1]


def test_text_and_bytes_keep_their_order_and_are_filled_up_with_zeros():
    values = {"STATION_NAME": "left", "RECIPE_DIGEST": bytes(range(8))}
    for order in ("high_first", "low_first"):
        registers = encode(INPUT_SIGNALS, values, INPUT_REGISTERS, order)
        assert registers[48:51] == [0x6C65, 0x6674, 0]
        assert registers[40:44] == [0x0001, 0x0203, 0x0405, 0x0607]


def test_text_that_is_too_long_is_cut():
    registers = encode(INPUT_SIGNALS, {"STATION_NAME": "a-station-of-24-letters"}, INPUT_REGISTERS, "high_first")
    assert decode(INPUT_SIGNALS, registers, "high_first")["STATION_NAME"] == "a-station-of-24-"
    assert registers[56] == 0


KINDS = {
    Kind.UINT: st.integers(0, 2**16 - 1),
    Kind.UDINT: st.integers(0, 2**32 - 1),
    Kind.ULINT: st.integers(0, 2**64 - 1),
    Kind.REAL: st.floats(width=32, allow_nan=False),
    Kind.STRING: st.text("ABCxyz019-_", max_size=16),
    Kind.BYTES: st.binary(min_size=8, max_size=8),
}


@given(
    st.fixed_dictionaries({signal.name: KINDS[signal.kind] for signal in (*HOLDING_SIGNALS, *INPUT_SIGNALS)}),
    st.sampled_from(["high_first", "low_first"]),
)
def test_what_is_encoded_is_decoded(values, order):
    for signals, size in ((HOLDING_SIGNALS, HOLDING_REGISTERS), (INPUT_SIGNALS, INPUT_REGISTERS)):
        registers = encode(signals, values, size, order)
        assert len(registers) == size
        struct.pack(f">{size}H", *registers)
        assert decode(signals, registers, order) == {signal.name: values[signal.name] for signal in signals}


def test_a_bit_of_the_status_is_a_bit_of_input_register_0_or_1():
    assert bit("RESULTS_READY") == 1 << 6
    assert bit("SIMULATED") >> 16 == 1 << 5


def test_the_csv_has_a_line_a_signal_with_both_notations_of_its_address():
    rows = list(csv.DictReader(io.StringIO(csv_table())))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == len(SIGNALS)
    part_id = next(row for row in rows if row["name"] == "PART_ID")
    assert (part_id["address"], part_id["reference"], part_id["registers"], part_id["type"]) == (
        "8",
        "30009",
        "2",
        "UDINT",
    )


def test_the_markdown_names_every_signal():
    text = markdown_tables()
    assert all(f"| {signal.name} |" in text for signal in SIGNALS)
    assert "| 8-9 | PART_ID | UDINT |" in text


def test_the_documentation_has_the_tables_of_this_map(tmp_path):
    write_tables(tmp_path)
    for name in ("modbus_map.csv", "modbus_map.md"):
        assert (DOCS / name).read_text() == (tmp_path / name).read_text(), "run edgekd.station.line.modbus_tables"
