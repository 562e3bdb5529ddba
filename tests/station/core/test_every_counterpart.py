"""A station with all its counterparts at once: OPC UA, Modbus, MQTT, a webhook and digital outputs tell the same."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import types

import pytest

from edgekd.result import Verdict
from edgekd.station import service
from edgekd.station.configuration import (
    CameraConfiguration,
    ModbusConfiguration,
    MqttConfiguration,
    OneStation,
    OpcUaConfiguration,
    OutputsConfiguration,
    StationConfiguration,
    WebhookConfiguration,
)
from edgekd.station.error_codes import ErrorCode
from edgekd.station.inspector.client import InspectorClient
from edgekd.station.parts import Part

from ..counterparts import required_package, required_program
from ..inspector import played
from ..inspector.bench import Bench as Stage
from ..inspector.parts_by_hand import bad_part, good_part, make_recipe

for package in ("asyncua", "aiomqtt", "pymodbus"):
    required_package(package)

from asyncua import Client as OpcUaClient  # noqa: E402

from ..line.modbus_client import Client as Plc  # noqa: E402
from ..line.mosquitto import Mosquitto, free_port, watching  # noqa: E402
from ..line.opcua_served import AUTOMATIC, START_S, Station, a_job  # noqa: E402
from ..line.test_webhook import Receiver  # noqa: E402

pytestmark = pytest.mark.faults
SECONDS = 240.0
OK, NG, ERROR, READY = 11, 13, 15, 16


class RecordedGpio(types.ModuleType):
    """Stands for Jetson.GPIO, which a machine without pins has not."""

    BOARD, OUT, HIGH, LOW = "board", "out", 1, 0

    def __init__(self):
        super().__init__("GPIO")
        self.pulsed = []

    def setwarnings(self, on):
        pass

    def setmode(self, mode):
        pass

    def setup(self, pins, direction, initial):
        pass

    def output(self, pin, value):
        if value and pin != READY and not isinstance(pin, list):
            self.pulsed.append(pin)

    def cleanup(self, pins):
        pass


@pytest.fixture
def gpio(monkeypatch):
    jetson = types.ModuleType("Jetson")
    jetson.GPIO = RecordedGpio()
    monkeypatch.setitem(sys.modules, "Jetson", jetson)
    return jetson.GPIO


@pytest.fixture
def stage(tmp_path, monkeypatch):
    stage = Stage(tmp_path, {"press": ("top",)})
    stage.loop.close()
    make_recipe(stage.recipes, 1)
    monkeypatch.setattr(InspectorClient, "command", (sys.executable, played.__file__, str(stage.stage)))
    return stage


def configuration(stage, trigger="opcua", **fields):
    station = OneStation(name="press", cameras=("top",), trigger=trigger, job=1, start_online=True, **fields)
    return StationConfiguration(
        data=stage.data,
        recipes=stage.recipes,
        stations=(station,),
        cameras={"top": CameraConfiguration(kind="folder", source="played")},
        opcua=OpcUaConfiguration(port=free_port(), allow_unencrypted=True),
    )


def url_of(configured):
    return f"opc.tcp://127.0.0.1:{configured.opcua.port}/edgekd/station"


def lines_of(it):
    return {adapter.name: adapter.line for adapter in it.adapters}


def run(work):
    return asyncio.run(asyncio.wait_for(work, SECONDS))


async def wait(condition):
    while not condition():
        await asyncio.sleep(0.01)


def test_a_part_that_opc_ua_triggers_is_told_to_everybody(stage, gpio, tmp_path):
    required_program("mosquitto")
    receiver = Receiver()

    async def test(broker, hook):
        configured = configuration(
            stage, outputs=OutputsConfiguration(ok=OK, ng=NG, error=ERROR, ready=READY, pulse_ms=20)
        ).model_copy(
            update={
                "modbus": ModbusConfiguration(port=0),
                "mqtt": MqttConfiguration(host="127.0.0.1", port=broker.port, tls=False),
                "webhook": WebhookConfiguration(url=f"http://127.0.0.1:{hook}/", verdicts=("OK", "NG", "ERROR")),
            }
        )
        async with service.running(configured) as it, watching(broker.port, "edgekd/v1/site/line/press") as watcher:
            [press], lines = it.stations, lines_of(it)
            assert lines.keys() == {"modbus", "opcua", "mqtt", "webhook", "outputs"}
            for name in ("modbus", "opcua"):
                await lines[name].listening.wait()
            await wait(lambda: press.snapshot().trigger_ready and dict(press.snapshot().links).get("broker"))
            async with (
                OpcUaClient(url_of(configured), timeout=START_S, watchdog_intervall=START_S) as client,
                Plc(lines["modbus"]) as plc,
            ):
                station = Station(client, "press")
                await client.load_data_type_definitions()
                await station.listen()
                for level in (True, False):
                    await plc.coil("TRIGGER_ENABLE", level)  # Of a PLC that triggers nothing here.
                for number, (image, verdict) in enumerate(((good_part(1), "OK"), (bad_part(2), "NG")), 1):
                    stage.show(image)
                    await station.in_state("Ready")
                    await station.call(*AUTOMATIC, "StartSingleJob", arguments=a_job(f"part-{number}"))
                    ready = await station.event("ResultReady", number)
                    assert ready.ResultContent[0].Value == verdict
                    result = (await watcher.results(number))[-1]
                    await receiver.count(number)
                    posted = receiver.requests[-1].content
                    shown = await plc.until(lambda shown, wanted=result["result_id"]: shown["RESULT_ID"] == wanted)
                    assert {result["verdict"], posted["verdict"]} == {verdict}
                    assert (result["serial"], result["source"]) == (f"part-{number}", "opcua")
                    assert posted["result_id"] == result["result_id"]
                    assert Verdict(verdict) is press.snapshot().outcome.verdict
                    assert (shown["RESULT_OK"], shown["RESULT_NG"]) == (False, False)  # It asked for nothing.
                    await wait(lambda number=number: len(gpio.pulsed) == number)
            assert gpio.pulsed == [OK, NG]
            assert [alarm.text for alarm in press.snapshot().alarms] == []

    async def all_of_it():
        with Mosquitto(tmp_path) as broker:
            async with receiver.listening() as hook:
                await test(broker, hook)

    run(all_of_it())


def test_fifty_subscriptions_and_a_flood_of_requests_make_no_answer_late(stage):
    """Control, inspector, OPC UA server and the flood share the machine."""
    parts = 40

    async def test():
        configured = configuration(stage)
        async with service.running(configured) as it:
            [press], lines = it.stations, lines_of(it)
            await lines["opcua"].listening.wait()
            command = (sys.executable, "-m", "tests.station.line.opcua_flood", url_of(configured), "press")
            flood = await asyncio.create_subprocess_exec(
                *command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
            )
            try:
                assert await flood.stdout.readline() == b"subscribed\n"
                found = []
                for number in range(1, parts + 1):
                    await wait(lambda: press.snapshot().trigger_ready)
                    press.trigger(Part(number), "opcua")
                    await wait(lambda wanted=number: press.snapshot().counters.total == wanted)
                    found.append(press.snapshot().outcome)
            finally:
                flood.stdin.close()
                await flood.wait()
            assert {each.error for each in found} == {ErrorCode.NONE}
            assert max(each.total_ms for each in found) < 500

    run(test())
