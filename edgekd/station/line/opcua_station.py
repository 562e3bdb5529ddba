"""One station in the OPC UA server: what control tells of it becomes values, transitions, results and events."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any

from asyncua import ua

from edgekd.station.json_lines import Message
from edgekd.station.line.opcua_events import GRAVE, Emitter
from edgekd.station.line.opcua_instance import RESULT_VALUES, VALUES, Instance
from edgekd.station.line.opcua_machine import AUTOMATIC, TOP, Change, Modes, changes, modes_of, system_state
from edgekd.station.line.opcua_model import STATES
from edgekd.station.line.opcua_nodes import structure
from edgekd.station.line.opcua_results import (
    Results,
    as_structure,
    external_recipe,
    fields_of,
    internal_recipe,
    last_result,
    utc,
)
from edgekd.station.states import State

MOST_MEASUREMENTS = 1000
MACHINES = {TOP: "VisionStateMachine", AUTOMATIC: "VisionStateMachine.AutomaticModeStateMachine"}
Ask = Callable[..., Awaitable[Message]]


class ServedStation:
    """A station as clients see it.

    Args:
        instance: Its nodes.
        emitter: Of its events.
        ask: Asks control for something: a method of `StationPort`, and its arguments.
        by_opcua: Whether OPC UA is who triggers it.
    """

    def __init__(self, instance: Instance, emitter: Emitter, ask: Ask, by_opcua: bool) -> None:
        self.instance, self._emitter, self.ask, self.by_opcua = instance, emitter, ask, by_opcua
        self.view: Message = {}
        self.results = Results()
        self.asked = ""  # The method that the next transition is due to.
        self.modes = Modes("")
        self._state = State.STARTING
        self._measurements: OrderedDict[int, str] = OrderedDict()
        self._job = ""
        self._repeated: dict[str, Any] | None = None  # The part of StartContinuous.
        self._repeated_job = ""
        self._stopping = self._triggering = False
        self._moving = asyncio.Lock()
        self.shown = asyncio.Event()  # There is something to see.

    @property
    def continuous(self) -> bool:
        """Whether parts follow each other without being asked for one by one."""
        return not self.by_opcua or self._repeated is not None

    async def apply(self, message: Message) -> None:
        """Takes what control tells."""
        view = message.get("view")
        if view is not None:
            await self._show(view)
        event = message.get("event")
        if event is not None:
            handler = getattr(self, f"_on_{event['name']}")
            await handler(event)
        await self._trigger_again()
        self.shown.set()

    def measured(self, acquisition: int, measurement: str) -> None:
        """Remembers a client's own name for a measurement."""
        self._measurements[acquisition] = measurement
        if len(self._measurements) > MOST_MEASUREMENTS:
            self._measurements.popitem(last=False)

    async def start_repeating(self, part: dict[str, Any], measurement: str) -> tuple[int, str]:
        """Begins to inspect one part after the other.

        Args:
            part: What they are called.
            measurement: The client's own name for the first measurement.

        Returns:
            Why it was refused, 0 where it was not, and the job that all of them belong to.
        """
        self._repeated_job = f"continuous-{time.time_ns() // 1_000_000}"
        self._repeated, self._stopping, self._triggering = part, False, True
        try:
            reply = await self.ask("trigger", **part)
        except TimeoutError:
            self._repeated = None
            raise
        finally:
            self._triggering = False
        if reply["code"]:
            self._repeated, self.asked = None, ""
            return reply["code"], ""
        self.measured(reply["acquisition_id"], measurement)
        await self._move(self._state)
        return 0, self._repeated_job

    async def stop_repeating(self) -> None:
        """Ends that after the part in work."""
        self._stopping = True
        if self._state is not State.RUNNING:
            await self._end_repeating()

    async def _end_repeating(self) -> None:
        self._repeated = None
        await self._move(self._state)

    async def _show(self, view: Message) -> None:
        for name, value in view.items():
            if self.view.get(name) == value and self.view:
                continue
            group, kind = VALUES[name]
            await self.instance.write(f"Inspection.{group}.{name}", kind, utc(value) if kind == "UtcTime" else value)
        first = not self.view
        self.view = view
        state = State(view["StateCode"])
        described = structure(
            "SystemStateDescriptionDataType",
            State=ua.SystemStateDataType(system_state(state, view["Simulated"])),
            StateDescription=state.name,
        )
        await self.instance.write("SystemState", "SystemStateDescriptionDataType", described)
        if first:
            self._state = state
            self.modes = modes_of(state, self.continuous)
            await self._show_modes([])

    async def _on_state(self, event: Message) -> None:
        self._state = State(event["state"])
        if self._repeated is not None and self._state not in (State.READY, State.RUNNING):
            self._repeated = None
        if self._stopping and self._state is State.READY:
            self._repeated = None
        await self._move(self._state, event["cause"])

    async def _move(self, state: State, cause: str = "") -> None:
        async with self._moving:
            modes = modes_of(state, self.continuous)
            made = changes(self.modes, modes, self.asked)
            self.modes = modes
            if not made:
                return
            await self._show_modes(made)
            for change in made:
                await self._tell(change, cause)
        if any(change.step.number % 10 for change in made) or modes.top == "Error":
            self.asked = ""

    async def _show_modes(self, made: list[Change]) -> None:
        for machine, state in ((TOP, self.modes.top), (AUTOMATIC, self.modes.automatic)):
            path = f"{MACHINES[machine]}.CurrentState"
            if state:
                await self.instance.write_step(path, state, STATES[machine][state])
            else:
                await self.instance.write_inactive(path)
        for change in made:
            path = f"{MACHINES[change.machine]}.LastTransition"
            await self.instance.write_step(path, change.name, change.step)
            await self.instance.write(f"{path}.TransitionTime", "UtcTime", None)

    async def _tell(self, change: Change, cause: str) -> None:
        text = f"{change.before} to {change.after}" + (f": {cause}" if cause else "")
        await self._emitter.transition("StateChangedEventType", text, change)
        if change.after == "Error":
            texts = self.view.get("AlarmTexts") or [cause or "The station failed."]
            await self._emitter.transition("ErrorEventType", texts[0], change, GRAVE)
        if change.before == "Error":
            await self._emitter.transition("ErrorResolvedEventType", "The error is cleared.", change)
        if change.after == "Ready":
            await self._emitter.job("ReadyEventType", "Ready for the next part.", self._job)

    def _job_of(self, acquisition: int) -> str:
        if self._repeated is not None:
            return self._repeated_job
        return str(acquisition) if acquisition else ""

    async def _on_started(self, event: Message) -> None:
        self._job = self._job_of(event["acquisition"])
        await self._emitter.job("JobStartedEventType", f"Job {self._job} started.", self._job)

    async def _on_exposed(self, event: Message) -> None:
        job = self._job_of(event["acquisition"])
        await self._emitter.job("AcquisitionDoneEventType", f"Job {job}: the part may move.", job)

    async def _on_result(self, event: Message) -> None:
        result = event["result"]
        result_id, acquisition = str(result["ResultId"]), result["AcquisitionId"]
        if result_id not in self.results:
            job = self._job_of(acquisition)
            fields = fields_of(result, job, self._measurements.pop(acquisition, ""))
            too_old = self.results.add(result_id, fields)
            if too_old is not None:
                self.instance.remove_result(int(too_old))
            self.instance.add_result(result["ResultId"], as_structure(fields))
            shown = last_result(result)
            for name, kind in RESULT_VALUES.items():
                await self.instance.write(f"Inspection.LastResult.{name}", kind, shown[name])
            told = {name: value for name, value in fields.items() if name != "HasTransferableDataOnFile"}
            await self._emitter.emit("ResultReadyEventType", f"Result {result_id}: {result['Verdict']}", told)
        if result["Source"] == "opcua" and self.view.get("ResultsReady"):
            await self.ask("acknowledge")

    async def _on_recipe(self, event: Message) -> None:
        recipe = event["recipe"]
        if recipe is None:
            return
        fields = {
            "ExternalId": ("RecipeIdExternalDataType", external_recipe(recipe)),
            "InternalId": ("RecipeIdInternalDataType", internal_recipe(recipe)),
            "ProductId": ("ProductIdDataType", structure("ProductIdDataType", Id=recipe["product"])),
        }
        await self._emitter.emit("RecipePreparedEventType", f"Recipe {recipe['recipe_id']} is prepared.", fields)

    async def _trigger_again(self) -> None:
        """Asks for the next part where they follow each other; a refusal ends that, as each is an ERROR on record."""
        part = self._repeated
        if part is None or self._stopping or self._triggering or not self.view["TriggerReady"]:
            return
        self._triggering = True
        try:
            reply = await self.ask("trigger", **part)
        finally:
            self._triggering = False
        if reply["code"]:
            await self._end_repeating()
