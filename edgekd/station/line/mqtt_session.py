"""What a station publishes during one connection to a broker, from its birth to its end."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import edgekd
from edgekd.station.line import payloads
from edgekd.station.line.mqtt_commands import execute
from edgekd.station.line.mqtt_connection import AT_ONCE, GOODBYE_SECONDS, aiomqtt
from edgekd.station.line.mqtt_topics import Topics
from edgekd.station.line.outbox import Outbox
from edgekd.station.ports import StationPort
from edgekd.station.tasks import within

COUNTERS_SECONDS = 1.0
# The first event of a part is followed by others at once: one update tells of all, once the line has its answer.
SETTLING_SECONDS = 0.02
REFUSED_SUBSCRIPTION = 128
logger = logging.getLogger(__name__)


class Message(NamedTuple):
    """A message that is to be sent; payload None empties a retained topic."""

    topic: str
    payload: Mapping[str, Any] | None
    retained: bool


class Session:
    """One connection, which has a birth of its own.

    Retained topics follow the station: whatever happened meanwhile, what they lack of its present view is sent.

    Args:
        client: Connected.
        birth: Number of this birth, as the last will of the connection has it.
        topics: Of the station.
        station: That is told of.
        outbox: Messages that must arrive, even late.
        retained: What the retained topics should hold now, but for the status.
        changed: Set by whoever knows that there is something to send.
    """

    def __init__(
        self,
        client: aiomqtt.Client,
        birth: int,
        topics: Topics,
        station: StationPort,
        outbox: Outbox,
        retained: Callable[[], Mapping[str, Mapping[str, Any] | None]],
        changed: asyncio.Event,
    ) -> None:
        self.birth = birth
        self._client, self._topics, self._station, self._outbox = client, topics, station, outbox
        self._retained, self._changed = retained, changed
        self._published: dict[str, Mapping[str, Any] | None] = {}
        self._sequences: Counter[str] = Counter()
        self._counters_due = 0.0
        self._reborn = False

    async def publish(self) -> None:
        """Publishes the birth, what is retained, what waited, and then whatever happens, until it is cancelled.

        Raises:
            aiomqtt.MqttError: The connection is lost.
        """
        while True:
            self._changed.clear()
            await self._update()
            if not await self._send_waiting():
                await self._wait()

    async def take_commands(self, names: Sequence[str]) -> None:
        """Subscribes to commands, before the birth: whoever sees that the station is online may send one.

        Args:
            names: Commands that are allowed; the others are not even subscribed to.

        Raises:
            aiomqtt.MqttError: The connection is lost.
        """
        for name in names:
            answers = await within(None, self._client.subscribe(self._topics.command(name), qos=1))
            if any(getattr(answer, "value", answer) >= REFUSED_SUBSCRIPTION for answer in answers):
                logger.warning("the MQTT broker does not let this user subscribe to %s", self._topics.command(name))

    async def answer_commands(self, names: Sequence[str]) -> None:
        """Answers the commands that were subscribed to, until it is cancelled.

        Args:
            names: Commands that are allowed.

        Raises:
            aiomqtt.MqttError: The connection is lost.
        """
        async for message in self._client.messages:
            name = str(message.topic).rpartition("/")[2]
            if message.retain:
                logger.warning("a retained MQTT command %s is ignored: nobody may have sent it now", name)
            elif name in names:
                payload = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
                reply = execute(name, payload, self._station, self._be_reborn)
                await within(None, self._client.publish(self._topics.reply(name), payloads.to_json(reply), qos=1))

    async def say_goodbye(self) -> None:
        """Publishes that the station goes, as its last will would have it; a broker that is slow is not waited for."""
        goodbye = payloads.to_json(last_words(self.birth))
        try:
            await self._client.publish(self._topics.status, goodbye, qos=1, retain=True, timeout=GOODBYE_SECONDS)
        except aiomqtt.MqttError as error:
            logger.info("the MQTT broker was not told that the station goes: %s", error)

    def _be_reborn(self) -> None:
        self._reborn = True
        self._changed.set()

    async def _update(self) -> None:
        """Sends what the retained topics lack, the status first."""
        if self._reborn:  # Asked for while an update was being sent, perhaps, which does not count.
            self._published, self._counters_due, self._reborn = {}, 0.0, False
        wanted = {self._topics.status: self._status(), **self._retained()}
        lacking = {
            topic: payload
            for topic, payload in wanted.items()
            if topic not in self._published or self._published[topic] != payload
        }
        if self._topics.counters in lacking:
            if time.monotonic() < self._counters_due:
                del lacking[self._topics.counters]
            else:
                self._counters_due = time.monotonic() + COUNTERS_SECONDS
        await self._send([Message(topic, payload, True) for topic, payload in lacking.items()])
        self._published.update(lacking)

    def _status(self) -> dict[str, Any]:
        now = self._station.snapshot()
        return {
            "online": True,
            "station": now.station,
            "state": now.state.name,
            **payloads.recipe(now.station, now.recipe),
            "edgekd_version": edgekd.__version__,
            "payload_version": payloads.VERSION,
            "simulated": now.simulated,
            "results_dropped": self._outbox.dropped,
        }

    async def _send_waiting(self) -> bool:
        """Sends the oldest messages of the outbox; returns whether there were any."""
        waiting = await self._outbox.oldest(AT_ONCE) if self._outbox.waiting else []
        if not waiting:
            return False
        await self._send(
            [Message(row.topic, {**row.payload, "delayed": row.epoch != self.birth}, False) for row in waiting]
        )
        await self._outbox.remove(waiting[-1].id)
        return True

    async def _wait(self) -> None:
        """Waits for something to send, which may be counters that were held back."""
        held_back = self._counters_due - time.monotonic()
        try:
            await within(held_back if held_back > 0 else None, self._changed.wait())
        except asyncio.TimeoutError:
            return
        await asyncio.sleep(SETTLING_SECONDS)

    async def _send(self, messages: Sequence[Message]) -> None:
        """Sends messages in their order and waits until the broker has confirmed them all."""
        for start in range(0, len(messages), AT_ONCE):
            sent = [self._send_one(message) for message in messages[start : start + AT_ONCE]]
            for failure in await asyncio.gather(*sent, return_exceptions=True):
                if isinstance(failure, BaseException):
                    raise failure

    async def _send_one(self, message: Message) -> None:
        content = b""
        if message.payload is not None:
            sequence = 0
            if message.topic != self._topics.status:
                self._sequences[message.topic] += 1
                sequence = self._sequences[message.topic]
            content = payloads.to_json({**message.payload, "birth": self.birth, "seq": sequence})
        await self._client.publish(message.topic, content, qos=1, retain=message.retained)


def last_words(birth: int) -> dict[str, Any]:
    """What the status holds once the station is gone: the last will, and the goodbye of one that is stopped.

    Args:
        birth: Number of the birth that this ends.
    """
    return {"online": False, "birth": birth, "seq": 0}
