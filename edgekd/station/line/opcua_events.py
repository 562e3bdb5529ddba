"""Events of a station, with the type of every field set: asyncua sends what has none as nothing."""

from __future__ import annotations

from typing import Any

from asyncua import Server, ua

from edgekd.station.line.opcua_instance import Instance
from edgekd.station.line.opcua_machine import Change
from edgekd.station.line.opcua_model import EVENT_TYPES, STATES
from edgekd.station.line.opcua_nodes import variant_type

Fields = dict[str, tuple[str, Any]]
NORMAL, GRAVE = 100, 900  # Severities.


class Emitter:
    """Sends events of one station to those who listen to it, or to the server as a whole."""

    def __init__(self, server: Server, instance: Instance) -> None:
        self._server, self._instance = server, instance
        self._generators: dict[str, Any] = {}

    async def prepare(self) -> None:
        """Reads the types of events."""
        for name, kind in EVENT_TYPES.items():
            self._generators[name] = await self._server.get_event_generator(
                self._instance.of_spec(kind.node), self._instance.node
            )

    async def emit(self, name: str, text: str, fields: Fields, severity: int = NORMAL) -> None:
        """Sends an event.

        Args:
            name: Of its type.
            text: What people read.
            fields: Of its type, with their types.
            severity: 1 to 1000.
        """
        generator = self._generators[name]
        event = generator.event
        for field, (kind, value) in fields.items():
            event.add_property(field, value, variant_type(kind))
        event.Severity = severity
        event.emitting_node = self._instance.node
        await generator.trigger(message=text)
        event.emitting_node = ua.NodeId(ua.ObjectIds.Server)  # The library passes nothing upwards.
        await self._server.iserver.subscription_service.trigger_event(event)

    async def job(self, name: str, text: str, job_id: str) -> None:
        """Sends an event that has nothing but a job."""
        job = getattr(ua, "JobIdDataType")(Id=job_id)  # noqa: B009 - made at run time.
        await self.emit(name, text, {"JobId": ("JobIdDataType", job)})

    async def transition(self, name: str, text: str, change: Change, severity: int = NORMAL) -> None:
        """Sends an event about a transition."""
        states = STATES[change.machine]
        fields: Fields = {
            "Transition": ("LocalizedText", ua.LocalizedText(change.name)),
            "Transition/Id": ("NodeId", self._instance.of_spec(change.step.node)),
        }
        for field, state in (("FromState", change.before), ("ToState", change.after)):
            fields[field] = ("LocalizedText", ua.LocalizedText(state))
            fields[f"{field}/Id"] = ("NodeId", self._instance.of_spec(states[state].node))
        await self.emit(name, text, fields, severity)
