"""A client that floods an OPC UA server, as a process: `python -m tests.station.line.opcua_flood URL STATION`.

It holds 50 subscriptions to events and values of a station, and reads as fast as it can. It writes a line once all
of them stand, and ends when its standard input does.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from asyncua import Client, ua
from asyncua.common.events import get_filter_from_event_type

SUBSCRIPTIONS = 50


class Nothing:
    def event_notification(self, event: Any) -> None: ...

    def datachange_notification(self, node: Any, value: Any, data: Any) -> None: ...

    def status_change_notification(self, status: Any) -> None: ...


async def flood(url: str, name: str) -> None:
    async with Client(url, timeout=240, watchdog_intervall=240) as client:
        station = client.get_node(ua.NodeId(name, 3))
        values = await (await station.get_child(["3:Inspection", "3:LastResult"])).get_children()
        wanted = await get_filter_from_event_type([client.get_node(ua.NodeId(1024, 2))])
        for _ in range(SUBSCRIPTIONS):
            subscription = await client.create_subscription(10, Nothing())
            await subscription.subscribe_events(station, evfilter=wanted)
            await subscription.subscribe_data_change(values)
        print("subscribed", flush=True)
        while True:
            await asyncio.gather(*(client.read_values(values) for _ in range(20)))


async def main() -> None:
    task = asyncio.create_task(flood(*sys.argv[1:]))
    await asyncio.to_thread(sys.stdin.read)
    task.cancel()


if __name__ == "__main__":
    asyncio.run(main())
