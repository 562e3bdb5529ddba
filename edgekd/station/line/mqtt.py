"""The station on an MQTT broker: what it does, each result, its alarms. A broker that is away holds up nothing.

Results, self-tests and changes wait in an outbox on the disk until the broker confirmed them; what else is published
is the present view, which a new connection publishes whole.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.station.configuration import MqttConfiguration
from edgekd.station.events import Audited, Event, Lost, Published, SelfTestEnded, StateChanged, Subscription
from edgekd.station.line import payloads
from edgekd.station.line.back_off import BackOff
from edgekd.station.line.mqtt_connection import aiomqtt, broker_of, connected, explanation
from edgekd.station.line.mqtt_session import Session, last_words
from edgekd.station.line.mqtt_topics import retained_of, topics_of
from edgekd.station.line.outbox import Outbox
from edgekd.station.ports import StationPort
from edgekd.station.tasks import together

LINK = "broker"
STABLE_SECONDS = 10.0  # A connection that lasted so long was one; before, a broker may throw out whom it let in.
logger = logging.getLogger(__name__)


class MqttPublisher:
    """Publishes one station; a `LinePort`.

    Args:
        station: That is published.
        configuration: Of MQTT.
        site: Where the line stands.
        line: Its name.
        data: Folder for the outbox.

    Raises:
        EdgekdError: The configuration or one of its files is wrong, or others can read the password.
        MachineError: aiomqtt is not installed.
    """

    def __init__(
        self, station: StationPort, configuration: MqttConfiguration, site: str, line: str, data: Path
    ) -> None:
        self._station = station
        self._commands = configuration.commands
        self._broker = broker_of(configuration)
        self._topics = topics_of(configuration.base, site, line, station.name)
        self._identifier = f"edgekd-{site}-{line}-{station.name}"
        self._outbox_path = data / "outbox" / f"mqtt-{station.name}.sqlite"
        self._session: Session | None = None
        self._birth = 0
        self._cause, self._since_utc_ms = "", _utc_ms()
        self._up: bool | None = None
        self._trouble = ""

    async def run(self) -> None:
        """Publishes until it is cancelled; connects again for as long as it takes."""
        outbox = Outbox(self._outbox_path)
        changed = asyncio.Event()
        events = self._station.events.subscribe()
        try:
            await outbox.open()
            await together(self._take_events(events, outbox, changed), self._stay_connected(outbox, changed))
        finally:
            events.close()
            await outbox.close()

    async def _take_events(self, events: Subscription, outbox: Outbox, changed: asyncio.Event) -> None:
        async for event in events:
            message = self._message(event)
            if message is not None:
                await outbox.append(*message, self._session.birth if self._session else 0)
            changed.set()

    def _message(self, event: Event) -> tuple[str, Mapping[str, Any]] | None:
        """What must arrive of an event; None where the retained topics will show it."""
        now, name = _utc_ms(), self._station.name
        if isinstance(event, Published):
            return self._topics.result, payloads.result(event.outcome)
        if isinstance(event, SelfTestEnded):
            return self._topics.self_test, payloads.self_test(name, event, now)
        if isinstance(event, Audited):
            return self._topics.audit, payloads.audit(name, event, now)
        if isinstance(event, StateChanged):
            self._cause, self._since_utc_ms = event.cause, now
        elif isinstance(event, Lost):
            logger.warning("MQTT of %s was too slow for %d events: their results are in the record", name, event.count)
        return None

    async def _stay_connected(self, outbox: Outbox, changed: asyncio.Event) -> None:
        back_off = BackOff()
        while True:
            began = time.monotonic()
            try:
                await self._connection(outbox, changed)
            except aiomqtt.MqttError as error:
                self._report_trouble(explanation(self._broker, error))
            if time.monotonic() - began > STABLE_SECONDS:
                back_off.reset()
            await asyncio.sleep(back_off.next())

    async def _connection(self, outbox: Outbox, changed: asyncio.Event) -> None:
        """One connection, from birth to end."""
        self._birth = max(self._birth + 1, _utc_ms())
        will = aiomqtt.Will(self._topics.status, payloads.to_json(last_words(self._birth)), qos=1, retain=True)
        async with connected(self._broker, self._identifier, will) as client:
            self._session = session = Session(
                client, self._birth, self._topics, self._station, outbox, self._retained, changed
            )
            self._report_connected()
            try:
                await session.take_commands(self._commands)
                await together(session.publish(), session.answer_commands(self._commands))
            except asyncio.CancelledError:
                await session.say_goodbye()
                raise
            finally:
                self._session = None

    def _retained(self) -> dict[str, dict[str, Any] | None]:
        return retained_of(self._topics, self._station.snapshot(), self._cause, self._since_utc_ms)

    def _report_connected(self) -> None:
        logger.info("%s publishes to %s", self._station.name, self._broker)
        self._trouble = ""
        self._report(True)

    def _report_trouble(self, text: str) -> None:
        """Reports a connection that failed: each new reason once, however often it is tried."""
        if text != self._trouble:
            logger.warning("%s; it is tried again, and results wait", text)
        self._trouble = text
        self._report(False)

    def _report(self, up: bool) -> None:
        if up is not self._up:
            self._station.report_link(LINK, up)
        self._up = up


def _utc_ms() -> int:
    return time.time_ns() // 1_000_000
