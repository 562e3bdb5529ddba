"""Results posted as JSON to a server of somebody else's. A server that is slow or away holds up nothing.

Each result waits in an outbox on the disk until the server took it. It arrives at least once, with the same id.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

from edgekd.station.configuration import WebhookConfiguration
from edgekd.station.events import Lost, Published, Subscription
from edgekd.station.line import payloads
from edgekd.station.line.back_off import BackOff
from edgekd.station.line.outbox import Outbox, Queued
from edgekd.station.line.webhook_request import NotDeliveredError, RefusedError, post, target_of
from edgekd.station.ports import StationPort
from edgekd.station.tasks import together

LINK = "webhook"
TYPE = "result"
logger = logging.getLogger(__name__)


class Webhook:
    """Posts the results of one station; a `LinePort`.

    Args:
        station: Whose results are posted.
        configuration: Of the webhook.
        data: Folder for the outbox.

    Raises:
        EdgekdError: The configuration or its secret is wrong, or others can read the secret.
    """

    def __init__(self, station: StationPort, configuration: WebhookConfiguration, data: Path) -> None:
        self._station = station
        self._target = target_of(configuration)
        self._verdicts = configuration.verdicts
        self._timeout = configuration.timeout_s
        self._outbox_path = data / "outbox" / f"webhook-{station.name}.sqlite"
        self._epoch = 0  # Of the time without trouble; 0 while there is some.
        self._up: bool | None = None
        self._trouble = ""

    async def run(self) -> None:
        """Posts results until it is cancelled; tries again for as long as it takes."""
        outbox = Outbox(self._outbox_path)
        arrived = asyncio.Event()
        self._epoch = time.time_ns()
        thread = ThreadPoolExecutor(1, thread_name_prefix=f"webhook {self._station.name}")
        events = self._station.events.subscribe()
        try:
            await together(self._take_events(events, outbox, arrived), self._deliver(outbox, arrived, thread))
        finally:
            events.close()
            thread.shutdown(wait=False)
            await outbox.close()

    async def _take_events(self, events: Subscription, outbox: Outbox, arrived: asyncio.Event) -> None:
        async for event in events:
            if isinstance(event, Published) and event.outcome.verdict.value in self._verdicts:
                await outbox.append(TYPE, payloads.result(event.outcome), self._epoch)
                arrived.set()
            elif isinstance(event, Lost):
                logger.warning("%s was too slow for %d events: their results are in the record", LINK, event.count)

    async def _deliver(self, outbox: Outbox, arrived: asyncio.Event, thread: Executor) -> None:
        back_off = BackOff()
        while True:
            arrived.clear()
            for waiting in await outbox.oldest(1):
                arrived.set()  # There may be more.
                message_id = f"{self._station.name}-{waiting.payload['result_id']}"
                try:
                    await post(self._target, message_id, self._body(waiting), self._timeout, thread)
                    self._report_delivered()
                except NotDeliveredError as error:
                    self._report_trouble(str(error))
                    await asyncio.sleep(back_off.next())
                    continue
                except RefusedError as error:
                    logger.warning("%s", error)
                back_off.reset()
                await outbox.remove(waiting.id)
            await arrived.wait()

    def _body(self, waiting: Queued) -> bytes:
        """A result as it is posted; `delayed` where it could not be posted at once."""
        at_once = waiting.epoch != 0 and waiting.epoch == self._epoch
        return payloads.to_json({"type": TYPE, "version": payloads.VERSION, **waiting.payload, "delayed": not at_once})

    def _report_delivered(self) -> None:
        if self._up is not True:
            logger.info("%s takes the results of %s", self._target, self._station.name)
            self._station.report_link(LINK, True)
            self._epoch = self._epoch or time.time_ns()
        self._up, self._trouble = True, ""

    def _report_trouble(self, text: str) -> None:
        """Reports a server that does not take results: each new reason once, however often it is tried."""
        if text != self._trouble:
            logger.warning("%s; it is tried again, and results wait", text)
        if self._up is not False:
            self._station.report_link(LINK, False)
        self._up, self._trouble, self._epoch = False, text, 0
