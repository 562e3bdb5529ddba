"""What an OPC UA client sees and may ask, with types made in code and with those of the OPC Foundation's file."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.station.counterparts import required_package

required_package("asyncua")

from asyncua import Client, ua  # noqa: E402

from edgekd.errors import EdgekdError  # noqa: E402
from edgekd.result import Verdict  # noqa: E402
from edgekd.station.configuration import OpcUaConfiguration  # noqa: E402
from edgekd.station.error_codes import ErrorCode  # noqa: E402
from edgekd.station.line.opcua import OpcUaServer  # noqa: E402
from edgekd.station.line.opcua_results import MOST_RESULTS  # noqa: E402
from edgekd.station.parts import Part  # noqa: E402
from edgekd.station.states import State  # noqa: E402
from tests.station.line.opcua_scripted import RECIPES, ScriptedStation  # noqa: E402
from tests.station.line.opcua_served import (  # noqa: E402
    AUTOMATIC,
    START_S,
    Served,
    Station,
    a_job,
    cause,
    int32,
    structured,
    uint32,
)

WHO = "opcua:127.0.0.1"


@pytest.fixture(scope="module", params=["made", "imported"])
def served(request: pytest.FixtureRequest) -> Iterator[Served]:
    nodeset = None
    if request.param == "imported":
        name = os.environ.get("EDGEKD_MACHINEVISION_NODESET")
        if not name:
            pytest.skip("EDGEKD_MACHINEVISION_NODESET names no Opc.Ua.MachineVision.NodeSet2.xml")
        nodeset = Path(name)
    made = Served(allow_unencrypted=True, nodeset=nodeset)
    yield made
    made.close()


Test = Callable[[Station, ScriptedStation], Coroutine[Any, Any, None]]


def with_client(served: Served, name: str, test: Test, state: State | None = State.READY, listens: bool = True) -> None:
    """Runs a test with a client that listens to events, at a station that is in a state."""
    scripted = next(station for station in served.stations if station.name == name)

    async def run() -> None:
        async with connected(served, name) as station:
            if state is not None:
                scripted.show(alarms=(), results_ready=False, simulated=False)
                scripted.load() if state is State.READY else scripted.go(state)
                ready = "Ready" if name != "plc" else "ContinuousExecution"
                shown = {State.READY: ready, State.OFFLINE: "Preoperational", State.HALTED: "Halted"}[state]
                await station.in_state(shown)
            scripted.asked.clear()
            if listens:
                await station.listen()
            await test(station, scripted)

    served.run(run())


@asynccontextmanager
async def connected(served: Served, name: str) -> AsyncIterator[Station]:
    async with Client(served.url, timeout=START_S, watchdog_intervall=START_S) as client:
        if not served.typed:  # Of the library's own registry; it takes a while.
            await client.load_data_type_definitions()
            served.typed = True
        yield Station(client, name)


def kinds(station: Station) -> list[str]:
    return [kind for kind, _ in station.events]


def test_a_station_is_found_as_a_vision_system_with_all_its_parts(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        assert (await station.client.get_namespace_array())[2:] == [
            "http://opcfoundation.org/UA/MachineVision",
            "urn:edgekd:station",
        ]
        node = await station.node()
        assert node.nodeid == ua.NodeId("single", 3)
        assert await node.read_type_definition() == ua.NodeId(1003, 2)
        machine = await station.node("VisionStateMachine")
        assert await machine.read_type_definition() == ua.NodeId(1017, 2)
        assert await (await station.node(*AUTOMATIC)).read_type_definition() == ua.NodeId(1021, 2)
        kind = station.client.get_node(ua.NodeId(1017, 2))
        assert (await kind.get_child("2:Reset")).nodeid == ua.NodeId(7093, 2)
        start = await station.node(*AUTOMATIC, "StartSingleJob", "0:InputArguments")
        arguments = await start.read_value()
        assert [argument.Name for argument in arguments] == ["MeasId", "PartId", "RecipeId", "ProductId", "Parameters"]
        assert [argument.DataType for argument in arguments[:2]] == [ua.NodeId(3015, 2), ua.NodeId(3004, 2)]
        assert arguments[4].ValueRank == 1

    with_client(served, "single", test)


def test_a_whole_job_is_a_sequence_of_states_and_events_with_typed_values(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        job, error = await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job("17", "m1", "bolt", "M8 bolt"))
        assert error == 0
        assert scripted.asked == [("trigger", Part(17), "opcua")]
        await station.in_state("SingleExecution")
        transition = await station.node(*AUTOMATIC, "0:LastTransition")
        assert (await transition.read_value()).Text == "ReadyToSingleExecution"
        assert await (await transition.get_child("0:Number")).read_value() == 671
        assert await (await transition.get_child("0:Id")).read_value() == ua.NodeId(5064, 2)
        scripted.expose()
        outcome = scripted.finish(Verdict.NG, score=0.75)
        await station.event("Ready")
        assert kinds(station) == [
            "StateChanged",
            "JobStarted",
            "AcquisitionDone",
            "ResultReady",
            "StateChanged",
            "Ready",
        ]
        for name in ("JobStarted", "AcquisitionDone", "ResultReady", "Ready"):
            assert (await station.event(name)).JobId.Id == job.Id
        first = await station.event("StateChanged")
        assert getattr(first, "Transition/Id") == ua.NodeId(5064, 2)
        assert getattr(first, "FromState/Id") == ua.NodeId(5057, 2)
        assert first.ToState.Text == "SingleExecution"
        assert getattr(await station.event("StateChanged", 2), "Transition/Id") == ua.NodeId(5070, 2)
        result = await station.event("ResultReady")
        types = result.data_types
        assert (result.IsPartial, types["IsPartial"]) == (False, ua.VariantType.Boolean)
        assert (result.IsSimulated, types["IsSimulated"]) == (False, ua.VariantType.Boolean)
        assert (result.ResultState, types["ResultState"]) == (1, ua.VariantType.Int32)
        assert (result.ResultId.Id, types["ResultId"]) == (str(outcome.result_id), ua.VariantType.ExtensionObject)
        assert result.CreationTime.timestamp() * 1000 == outcome.published_utc_ms
        assert types["CreationTime"] == ua.VariantType.DateTime
        assert (result.MeasId.Id, result.PartId.Id, result.ProductId.Id) == ("m1", "17", "M8 bolt")
        assert (result.ExternalRecipeId.Id, result.ExternalRecipeId.Version) == ("bolt", "3")
        assert result.InternalRecipeId.Hash == bytes.fromhex(RECIPES[0].digest)
        assert result.InternalConfigurationId.Id
        assert (result.ProcessingTimes.AcquisitionDuration, result.ProcessingTimes.ProcessingDuration) == (12.5, 80.0)
        content = [(value.Value, value.VariantType) for value in result.ResultContent]
        double = ua.VariantType.Double
        assert content == [
            ("NG", ua.VariantType.String),
            (0.75, double),
            (0.5, double),
            (0, ua.VariantType.UInt16),
            (0.25, double),
        ]
        assert ("acknowledge", "opcua") in scripted.asked

    with_client(served, "single", test)


def test_an_error_is_a_failed_result_and_an_aborted_part_an_aborted_one(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job())
        await station.in_state("SingleExecution")
        scripted.finish(Verdict.ERROR, ErrorCode.IMAGE_BLACK)
        failed = await station.event("ResultReady")
        assert failed.ResultState == 4
        assert [value.Value for value in failed.ResultContent][:1] == ["ERROR"]
        assert math.isnan(failed.ResultContent[1].Value)
        assert failed.ResultContent[3].Value == 201
        await station.in_state("Ready")
        await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job("serial-7"))
        await station.in_state("SingleExecution")
        assert await station.call(*AUTOMATIC, "Abort", arguments=cause("door open")) == 0
        aborted = await station.event("ResultReady", 2)
        assert (aborted.ResultState, aborted.PartId.Id) == (3, "serial-7")
        await station.event("Ready", 2)
        assert getattr(await station.event("StateChanged", 4), "Transition/Id") == ua.NodeId(5069, 2)
        assert ("abort", "opcua", f"{WHO}: door open") in scripted.asked

    with_client(served, "single", test)


def test_what_does_not_fit_the_loaded_recipe_or_the_state_starts_nothing(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        for job in (a_job(recipe="nut"), a_job(product="M8 nut")):
            assert (await station.call(*AUTOMATIC, "StartSingleJob", arguments=job))[1] == -501
        parameters = ua.Variant([ua.Variant(1.0)], ua.VariantType.Variant, is_array=True)
        with pytest.raises(ua.uaerrors.BadInvalidArgument):
            await station.call(*AUTOMATIC, "StartSingleJob", arguments=(*a_job()[:4], parameters))
        assert scripted.asked == []
        scripted.refuse = ErrorCode.TRIGGER_NOT_READY
        job, error = await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job())
        scripted.refuse = ErrorCode.NONE
        assert (job.Id, error) == ("", -401)
        scripted.asked.clear()
        await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job())
        await station.in_state("SingleExecution")
        with pytest.raises(ua.uaerrors.BadInvalidState):
            await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job())
        assert len(scripted.asked) == 1
        scripted.finish()

    with_client(served, "single", test)


def test_a_call_with_wrong_arguments_names_the_one_that_is_wrong(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        with pytest.raises(ua.uaerrors.BadArgumentsMissing):
            await station.call("VisionStateMachine", "Reset", arguments=cause()[:1])
        with pytest.raises(ua.uaerrors.BadTooManyArguments):
            await station.call("VisionStateMachine", "Reset", arguments=(*cause(), int32(1)))
        owner = await station.node("VisionStateMachine")
        method = await station.node("VisionStateMachine", "Reset")
        wrong = [ua.Variant("0", ua.VariantType.String), cause()[1]]
        request = ua.CallMethodRequest(ObjectId=owner.nodeid, MethodId=method.nodeid, InputArguments=wrong)
        (result,) = await station.client.uaclient.call([request])
        assert result.StatusCode.value == ua.StatusCodes.BadInvalidArgument
        codes = [status.value for status in result.InputArgumentResults]
        assert codes == [ua.StatusCodes.BadTypeMismatch, ua.StatusCodes.Good]
        other = structured("PartIdDataType", Id="1")
        with pytest.raises(ua.uaerrors.BadInvalidArgument):
            await station.call("ResultManagement", "GetResultById", arguments=(other, int32(0)))
        assert scripted.asked == []

    with_client(served, "single", test)


def test_methods_may_be_called_by_the_node_of_the_type(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        owner = await station.node("VisionStateMachine")
        assert await owner.call_method(ua.NodeId(7093, 2), *cause()) == 0
        assert scripted.asked == [("reset", "opcua", WHO)]
        with pytest.raises(ua.uaerrors.BadMethodInvalid):
            await station.client.nodes.server.call_method(ua.NodeId(7093, 2), *cause())

    with_client(served, "single", test)


def test_parts_follow_each_other_from_start_continuous_to_stop(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        job, error = await station.call(*AUTOMATIC, "StartContinuous", arguments=a_job("5"))
        assert error == 0
        await station.in_state("ContinuousExecution")
        for count in range(1, 4):

            async def triggered(count: int = count) -> bool:
                return len([each for each in scripted.asked if each[0] == "trigger"]) == count

            await station.until(triggered)
            if count == 3:
                assert await station.call(*AUTOMATIC, "Stop", arguments=cause()) == 0
                assert (await station.value(*AUTOMATIC, "0:CurrentState")).Text == "ContinuousExecution"
            scripted.finish()
            assert (await station.event("ResultReady", count)).JobId.Id == job.Id
        await station.in_state("Ready")
        transition = await station.node(*AUTOMATIC, "0:LastTransition", "0:Number")
        assert await transition.read_value() == 861
        assert len([each for each in scripted.asked if each[0] == "trigger"]) == 3

    with_client(served, "single", test)


def test_a_refused_trigger_ends_continuous_execution(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        await station.call(*AUTOMATIC, "StartContinuous", arguments=a_job("5"))
        await station.in_state("ContinuousExecution")
        scripted.refuse = ErrorCode.OVERRUN
        scripted.finish()
        await station.in_state("Ready")
        scripted.refuse = ErrorCode.NONE
        assert len([each for each in scripted.asked if each[0] == "trigger"]) == 2

    with_client(served, "single", test)


def test_a_station_that_a_plc_triggers_is_in_continuous_execution_and_starts_no_jobs(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        with pytest.raises(ua.uaerrors.BadInvalidState):
            await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job())
        scripted.trigger(Part(9), "modbus")
        scripted.finish()
        result = await station.event("ResultReady")
        assert result.PartId.Id == "9"
        assert (await station.value(*AUTOMATIC, "0:CurrentState")).Text == "ContinuousExecution"
        assert ("acknowledge", "opcua") not in scripted.asked
        assert await station.call(*AUTOMATIC, "Stop", arguments=cause("shift ends")) == 0
        assert ("set_online", False, "opcua", f"{WHO}: shift ends") in scripted.asked
        await station.in_state("Preoperational")

    with_client(served, "plc", test)


def test_a_fault_is_an_error_event_until_it_is_confirmed_and_its_cause_gone(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        scripted.fail(ErrorCode.CAMERA_LOST, "The camera does not answer.")
        error = await station.event("Error")
        assert error.Message.Text == "The camera does not answer."
        assert error.Severity >= 800
        assert getattr(error, "Transition/Id") == ua.NodeId(5051, 2)
        await station.in_state("Error")
        assert (await station.value("SystemState")).State == 5
        assert await station.value("own:Inspection", "own:Alarms", "own:AlarmCodes") == [103]
        with pytest.raises(ua.uaerrors.BadStateNotActive):
            await station.value(*AUTOMATIC, "0:CurrentState")
        assert await station.call("VisionStateMachine", "Reset", arguments=cause()) == -103
        alarm = scripted.snapshot().alarms[0]
        scripted.show(alarms=(type(alarm)(alarm.code, alarm.text, alarm.since_utc_ms, fatal=True, active=False),))
        comment = ua.Variant(ua.LocalizedText("cable was loose"), ua.VariantType.LocalizedText)
        await station.call("VisionStateMachine", "ConfirmAll", arguments=(comment,))
        await station.event("ErrorResolved")
        await station.in_state("Preoperational")
        assert ("clear_error", "opcua", f"{WHO}: cable was loose") in scripted.asked

    with_client(served, "third", test)


def test_halt_reset_and_automatic_mode_lead_from_state_to_state(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        machine = "VisionStateMachine"
        assert await station.call(machine, "Halt", arguments=cause("power off")) == 0
        await station.in_state("Halted")
        with pytest.raises(ua.uaerrors.BadInvalidState):
            await station.call(machine, "SelectModeAutomatic")
        assert await station.call(machine, "Reset", arguments=cause()) == 0
        await station.in_state("Preoperational")
        assert await station.call(machine, "SelectModeAutomatic") == 0
        await station.in_state("Ready")
        assert await station.call(machine, "Reset", arguments=cause()) == 0
        await station.in_state("Preoperational")
        asked = [each[0] for each in scripted.asked]
        assert asked == ["halt", "reset", "set_online", "reset"]
        await station.event("StateChanged", 5)  # An event may come after the value that shows its state.
        numbers = [
            getattr(event, "Transition/Id").Identifier for kind, event in station.events if kind == "StateChanged"
        ]
        assert numbers == [5032, 5037, 5253, 5061, 5047]

    with_client(served, "third", test, State.OFFLINE)


def test_simulated_parts_are_marked_and_never_shown_as_ok(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        on = ua.Variant(True, ua.VariantType.Boolean)
        assert await station.call(*AUTOMATIC, "SimulationMode", arguments=(on, *cause())) == 0
        assert ("simulate", True, "opcua", WHO) in scripted.asked
        await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job())
        await station.in_state("SingleExecution")
        scripted.finish(Verdict.OK)
        result = await station.event("ResultReady")
        assert result.IsSimulated is True
        assert result.ResultContent[0].Value == "SIMULATED"
        last = ("own:Inspection", "own:LastResult")
        assert await station.value(*last, "own:VerdictCode") == 0
        assert (await station.value("SystemState")).State == 3

    with_client(served, "third", test)


def test_recipes_are_listed_prepared_and_unprepared(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        async def listed(recipe: str = "", prepared: int = 2, most: int = 0, start: int = 0) -> Any:
            filters = (
                structured("RecipeIdExternalDataType", Id=recipe),
                structured("ProductIdDataType", Id=""),
                int32(prepared),
                uint32(most),
                uint32(start),
                int32(0),
            )
            complete, count, _, found, error = await station.call(
                "RecipeManagement", "GetRecipeListFiltered", arguments=filters
            )
            assert error == 0
            assert count == len(found)
            return complete, [each.Id for each in found]

        assert await listed() == (True, ["bolt@3", "nut@1"])
        assert await listed("nut") == (True, ["nut@1"])
        assert await listed(prepared=1) == (True, ["bolt@3"])
        assert await listed(prepared=0) == (True, ["nut@1"])
        assert await listed(most=1) == (False, ["bolt@3"])
        assert await listed(most=1, start=1) == (True, ["nut@1"])

        async def prepare(method: str, external: str = "", internal: str = "") -> Any:
            names = (
                structured("RecipeIdExternalDataType", Id=external),
                structured("RecipeIdInternalDataType", Id=internal),
            )
            return await station.call("RecipeManagement", method, arguments=names)

        made, completed, error = await prepare("PrepareRecipe", "nut")
        assert (made.Id, completed, error) == ("nut@1", False, 0)
        prepared = await station.event("RecipePrepared")
        assert (prepared.InternalId.Id, prepared.ExternalId.Id, prepared.ProductId.Id) == ("nut@1", "nut", "M8 nut")
        await station.in_state("Ready")
        assert (await prepare("PrepareRecipe", internal="nut@1"))[1:] == [True, 0]
        assert (await prepare("PrepareRecipe", "gear"))[1:] == [False, -501]
        assert (await prepare("PrepareRecipe"))[1:] == [False, -501]
        assert (await prepare("UnprepareRecipe", "bolt"))[1] == -501
        assert (await prepare("UnprepareRecipe", "nut"))[1] == 0
        await station.in_state("Initialized")
        asked = [each[:2] for each in scripted.asked]
        assert asked == [("change_job", 2), ("change_job", 0)]
        await station.event("StateChanged", 3)
        numbers = [
            getattr(event, "Transition/Id").Identifier for kind, event in station.events if kind == "StateChanged"
        ]
        assert numbers == [5063, 5060, 5062]

    with_client(served, "third", test)


def test_the_last_results_are_kept_listed_and_found_by_id(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        outcomes = []
        for number in range(1, MOST_RESULTS + 6):
            scripted.trigger(Part(number), "modbus")
            verdict = Verdict.ERROR if number % 10 == 0 else Verdict.OK
            outcomes.append(scripted.finish(verdict, ErrorCode.IMAGE_BLACK if number % 10 == 0 else ErrorCode.NONE))
            scripted.go(State.READY, results_ready=False)
        folder = await station.node("ResultManagement", "Results")
        newest_id = ua.NodeId(f"plc.ResultManagement.Results.{outcomes[-1].result_id}", 3)

        async def there() -> bool:
            return newest_id in [child.nodeid for child in await folder.get_children()]

        await station.until(there)
        names = [(await child.read_browse_name()).Name for child in await folder.get_children()]
        assert names == [str(outcome.result_id) for outcome in outcomes[-MOST_RESULTS:]]
        newest = await (await folder.get_children())[-1].read_value()
        assert newest.PartId.Id == str(MOST_RESULTS + 5)

        async def by_id(method: str, result_id: object) -> Any:
            arguments = (structured("ResultIdDataType", Id=str(result_id)), int32(0))
            return await station.call("ResultManagement", method, arguments=arguments)

        wanted = outcomes[-1].result_id
        handle, result, error = await by_id("GetResultById", wanted)
        assert (handle, result.ResultId.Id, result.ResultState, error) == (0, str(wanted), 1, 0)
        components = await by_id("GetResultComponentsById", wanted)
        assert (components[4], components[6].Id, components[15][0].Value, components[16]) == (
            1,
            result.PartId.Id,
            "OK",
            0,
        )
        for unknown in (outcomes[0].result_id, "none"):
            assert (await by_id("GetResultById", unknown))[2] == -1
            assert (await by_id("GetResultComponentsById", unknown))[16] == -1

        async def matching(state: int = 0, part: str = "", most: int = 0) -> Any:
            filters = (
                int32(state),
                structured("MeasIdDataType", Id=""),
                structured("PartIdDataType", Id=part),
                structured("RecipeIdExternalDataType", Id=""),
                structured("RecipeIdInternalDataType", Id=""),
                structured("ConfigurationIdDataType", Id=""),
                structured("ConfigurationIdDataType", Id=""),
                structured("ProductIdDataType", Id=""),
                structured("JobIdDataType", Id=""),
                uint32(most),
                uint32(0),
                int32(0),
            )
            complete, count, _, found, error = await station.call(
                "ResultManagement", "GetResultListFiltered", arguments=filters
            )
            assert (count, error) == (len(found), 0)
            return complete, [each.PartId.Id for each in found]

        assert await matching(part="77") == (True, ["77"])
        assert await matching(state=4) == (True, [str(number) for number in range(100, 9, -10)])
        assert await matching(state=4, most=2) == (False, ["100", "90"])

    with_client(served, "plc", test, listens=False)


def test_what_the_specification_has_no_place_for_has_nodes_of_its_own(served: Served) -> None:
    async def test(station: Station, scripted: ScriptedStation) -> None:
        scripted.trigger(Part(41, "S-1", "lot 4"), "modbus")
        scripted.finish(Verdict.NG, score=0.9)
        await station.event("ResultReady")
        last = ("own:Inspection", "own:LastResult")
        found = {
            name: await station.value(*last, f"own:{name}") for name in ("Verdict", "VerdictCode", "Score", "Severity")
        }
        assert found == {"Verdict": "NG", "VerdictCode": 2, "Score": 0.9, "Severity": 1.8}
        assert await station.value(*last, "own:Serial") == "S-1"
        assert await station.value(*last, "own:AnomalousArea") == 0.25
        node = await station.node(*last, "own:PartId")
        assert await node.read_data_type_as_variant_type() == ua.VariantType.UInt32
        recipe = ("own:Inspection", "own:Recipe")
        assert await station.value(*recipe, "own:RecipeDigest") == RECIPES[0].digest
        assert await station.value(*recipe, "own:Job") == 1
        counters = scripted.snapshot().counters
        assert await station.value("own:Inspection", "own:Counters", "own:Ng") == counters.ng
        assert await station.value("own:Inspection", "own:Counters", "own:Total") == counters.total
        scripted.report_link("camera top", False)

        async def shown() -> bool:
            return bool(await station.value("own:Inspection", "own:Station", "own:LinksDown") == ["camera top"])

        await station.until(shown)
        scripted.report_link("camera top", True)

    with_client(served, "plc", test)


@pytest.mark.parametrize(
    ("settings", "wrong"),
    [
        ({}, "certificate, private_key, trusted missing"),
        ({"certificate": "a.der", "allow_unencrypted": True}, "private_key, trusted missing"),
        ({"allow_unencrypted": True, "nodeset": "none.xml"}, "opcua.nodeset: there is no file none.xml"),
    ],
)
def test_a_configuration_that_cannot_be_served_is_refused_at_once(settings: dict[str, Any], wrong: str) -> None:
    paths = {name: Path(value) if isinstance(value, str) else value for name, value in settings.items()}
    with pytest.raises(EdgekdError, match=wrong):
        OpcUaServer(OpcUaConfiguration(**paths), [ScriptedStation()])
