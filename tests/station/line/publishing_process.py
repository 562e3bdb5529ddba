"""A process that publishes a scripted station, to be killed: PORT FOLDER FIRST_RESULT LAST_RESULT."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from edgekd.station.configuration import MqttConfiguration
from edgekd.station.line.mqtt import MqttPublisher

from .mosquitto import queued
from .mqtt_scripted import ScriptedStation


async def main(port: int, folder: Path, first: int, last: int) -> None:
    station = ScriptedStation()
    configuration = MqttConfiguration(host="127.0.0.1", port=port, tls=False)
    publisher = MqttPublisher(station, configuration, "plant", "line1", folder)
    serving = asyncio.ensure_future(publisher.run())
    await asyncio.sleep(0)
    for result_id in range(first, last + 1):
        station.publish(result_id)
    await queued(folder, last + 1 - first)
    print("published", flush=True)
    await serving


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
