"""The state machines of OPC 40100-1, and that the model in code is the specification's own."""

from __future__ import annotations

import os
import xml.etree.ElementTree as ElementTree
from itertools import product
from pathlib import Path

import pytest

from edgekd.station.line.opcua_machine import Modes, changes, modes_of, system_state
from edgekd.station.line.opcua_model import (
    ALIASES,
    ENUMERATIONS,
    EVENT_TYPES,
    METHODS,
    OBJECT_TYPES,
    PARTS,
    RESULT_TYPE,
    STATES,
    STRUCTURES,
    SYSTEM_STATE,
    TRANSITIONS,
)
from edgekd.station.states import State

READY, RUNNING = modes_of(State.READY, False), modes_of(State.RUNNING, False)


def numbers(before: Modes, after: Modes, method: str = "") -> list[int]:
    return [change.step.number for change in changes(before, after, method)]


def test_a_single_job_goes_from_ready_to_execution_and_back() -> None:
    assert numbers(READY, RUNNING, "StartSingleJob") == [671]
    assert numbers(READY, RUNNING) == [670]
    assert numbers(RUNNING, READY) == [760]
    assert numbers(RUNNING, READY, "Abort") == [762]
    assert numbers(RUNNING, READY, "Stop") == [761]


def test_a_station_that_a_plc_triggers_enters_continuous_execution_by_itself() -> None:
    initialized = modes_of(State.SELF_TEST, True)
    assert numbers(initialized, modes_of(State.READY, True)) == [560, 680]
    assert numbers(initialized, modes_of(State.READY, True), "PrepareRecipe") == [561, 680]
    assert numbers(modes_of(State.READY, True), modes_of(State.RUNNING, True)) == []
    assert numbers(modes_of(State.READY, True), modes_of(State.LOADING, True)) == [860, 650]


def test_faults_halts_and_resets_have_their_own_transitions() -> None:
    fault, halted, offline = (modes_of(state, False) for state in (State.FAULT, State.HALTED, State.OFFLINE))
    assert numbers(READY, fault) == [430]
    assert numbers(fault, offline, "Reset") == [311]
    assert numbers(fault, offline) == [310]
    assert numbers(READY, offline, "Reset") == [411]
    assert numbers(offline, halted, "Halt") == [121]
    assert numbers(halted, offline, "Reset") == [211]
    assert numbers(offline, modes_of(State.LOADING, False), "SelectModeAutomatic") == [141]


def test_every_state_is_reached_from_every_other_one_by_transitions_that_exist() -> None:
    places = {modes_of(state, continuous) for state in State for continuous in (False, True)}
    for before, after in product(places, places):
        made = changes(before, after)
        assert bool(made) == (before != after)
        for change in made:
            assert change.step.number // 100 == _state_number(change.before)
            assert change.step.number // 10 % 10 == _state_number(change.after)


def _state_number(name: str) -> int:
    return next(steps[name].number for steps in STATES.values() if name in steps)


def test_the_system_state_is_productive_only_where_parts_are_inspected() -> None:
    productive = {state for state in State if system_state(state, simulated=False) == 1}
    assert productive == {State.READY, State.RUNNING}
    assert system_state(State.READY, simulated=True) == 3
    assert system_state(State.FAULT, simulated=True) == 5


@pytest.fixture(scope="module")
def nodeset() -> dict[str, ElementTree.Element]:
    """The nodes of the OPC Foundation's file, by their numbers."""
    path = os.environ.get("EDGEKD_MACHINEVISION_NODESET")
    if not path:
        pytest.skip("EDGEKD_MACHINEVISION_NODESET names no Opc.Ua.MachineVision.NodeSet2.xml")
    root = ElementTree.parse(Path(path)).getroot()
    return {node.get("NodeId", "").removeprefix("ns=1;i="): node for node in root if node.get("NodeId")}


UA = "{http://opcfoundation.org/UA/2011/03/UANodeSet.xsd}"
TYPES = "{http://opcfoundation.org/UA/2008/02/Types.xsd}"


def _name(node: ElementTree.Element) -> str:
    return node.get("BrowseName", "").removeprefix("1:")


def test_the_model_has_the_names_and_nodes_of_the_specification(nodeset: dict[str, ElementTree.Element]) -> None:
    expected = {number: name for name, (number, _) in {**ALIASES, **ENUMERATIONS, **OBJECT_TYPES}.items()}
    expected |= {structure.node: name for name, structure in STRUCTURES.items()}
    expected |= {structure.encoding: "Default Binary" for structure in STRUCTURES.values()}
    expected |= {event.node: name for name, event in EVENT_TYPES.items()}
    expected |= {number: name for event in EVENT_TYPES.values() for name, _, number in event.fields}
    expected |= {node: name for name, (_, node, _, _) in PARTS.items()}
    expected |= {RESULT_TYPE: "ResultType", SYSTEM_STATE: "SystemState"}
    steps = [item for each in (*STATES.values(), *TRANSITIONS.values()) for item in each.items()]
    expected |= {step.node: name for name, step in steps}
    for methods in METHODS.values():
        expected |= {method.node: name for name, method in methods.items()}
    assert {number: _name(nodeset[str(number)]) for number in expected} == expected
    numbered = {step.number_node: step.number for _, step in steps}
    assert {node: int("".join(nodeset[str(node)].find(f"{UA}Value").itertext())) for node in numbered} == numbered  # type: ignore[union-attr]


def test_structures_have_the_fields_of_the_specification(nodeset: dict[str, ElementTree.Element]) -> None:
    for name, structure in STRUCTURES.items():
        source = STRUCTURES[structure.base].node if structure.base in STRUCTURES else structure.node
        fields = nodeset[str(source)].findall(f"{UA}Definition/{UA}Field")
        found = [
            (
                field.get("Name", "") + ("?" if field.get("IsOptional") else ""),
                field.get("DataType", "BaseDataType") + ("[]" if field.get("ValueRank") == "1" else ""),
            )
            for field in fields
        ]
        assert found == list(structure.fields), name


def test_methods_have_the_arguments_of_the_specification(nodeset: dict[str, ElementTree.Element]) -> None:
    basic = {"i=1": "Boolean", "i=6": "Int32", "i=7": "UInt32", "i=12": "String", "i=21": "LocalizedText"}
    basic |= {"i=24": "BaseDataType", "i=294": "UtcTime"}
    basic |= {f"ns=1;i={number}": name for name, (number, _) in {**ALIASES, **ENUMERATIONS}.items()}
    basic |= {f"ns=1;i={structure.node}": name for name, structure in STRUCTURES.items()}
    for methods in METHODS.values():
        for name, method in methods.items():
            for node, arguments in ((method.input_node, method.inputs), (method.output_node, method.outputs)):
                found = [
                    (
                        argument.findtext(f"{TYPES}Name"),
                        basic[argument.findtext(f"{TYPES}DataType/{TYPES}Identifier") or ""]
                        + ("[]" if argument.findtext(f"{TYPES}ValueRank") == "1" else ""),
                    )
                    for argument in (nodeset[str(node)].iter(f"{TYPES}Argument") if node else ())
                ]
                assert found == list(arguments), name
