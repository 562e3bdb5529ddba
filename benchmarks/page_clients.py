"""Browsers of a station's page: each follows every event and fetches every image, until standard input ends.

    python benchmarks/page_clients.py PORT COUNT

Writes a line once all follow, and at the end how much they got, as JSON. They run only while
nothing else does: people's browsers are on other machines.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections import Counter

import httpx
from websockets.asyncio.client import connect

from edgekd.station.page.watching import LOOKS_S


async def follow(port: int, got: Counter[str], ready: asyncio.Event) -> None:
    """Follows what happens as the operator's page does."""
    images: set[asyncio.Task[None]] = set()
    async with (
        connect(f"ws://127.0.0.1:{port}/ws", ping_interval=None) as socket,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=30) as client,
    ):
        expected = 0
        async for content in socket:
            if not ready.is_set():
                await asyncio.sleep(5 * LOOKS_S)  # From now on images are made.
                ready.set()
            message = json.loads(content)
            got[message["kind"]] += 1
            if message["kind"] == "ping":
                continue
            got["gaps"] += message["n"] != expected
            expected = message["n"] + 1
            event = message.get("event") or {}
            if event.get("name") == "result" and event["result"]["image_height"]:
                task = asyncio.create_task(fetch(client, message["station"], event["result"], got))
                images.add(task)
                task.add_done_callback(images.discard)


async def fetch(client: httpx.AsyncClient, station: str, result: dict[str, object], got: Counter[str]) -> None:
    """Fetches the images of a result: of one that is not OK its heat map too."""
    for kind in ("original",) if result["verdict"] == "OK" else ("original", "heat_map"):
        answer = await client.get(f"/api/stations/{station}/live/{result['acquisition_id']}/{kind}")
        got["images" if answer.status_code == 200 else "images that were not there"] += 1


async def main(port: int, count: int) -> None:
    got: Counter[str] = Counter()
    ready = [asyncio.Event() for _ in range(count)]
    clients = [asyncio.create_task(follow(port, got, each)) for each in ready]
    for each in ready:
        await each.wait()
    print("ready", flush=True)
    await asyncio.to_thread(sys.stdin.read)
    failed = [client.exception() for client in clients if client.done()]
    if failed:
        sys.exit(f"a client ended: {failed}")
    print(json.dumps(got), flush=True)
    os._exit(0)


def only_when_idle() -> None:
    """Gives this process, and those that it starts, what time everything else leaves."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


if __name__ == "__main__":
    only_when_idle()
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
