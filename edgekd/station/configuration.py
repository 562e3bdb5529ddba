"""The station's configuration: one TOML file for everything that is not a product's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from edgekd.station.recipes import Name
from edgekd.typed import ClosedEntry

File = Annotated[Path, Field(strict=False)]  # Text in the file.
Port = Annotated[int, Field(ge=0, le=65535)]  # 0 for any that is free.


class CameraConfiguration(ClosedEntry):
    """A camera.

    Attributes:
        kind: opencv for a number or /dev/videoN, url for RTSP and HTTP, gstreamer for a pipeline, genicam by a GenTL
            producer, aravis for GigE Vision and USB3 Vision, folder for images that another program writes, video for
            a file that plays a camera.
        source: Number, device, URL, pipeline, serial number or folder, as the kind has it.
        producer: The GenTL producer, a .cti file.
        reconnect_s: Seconds before the first attempt to open it again; each later one waits twice as long, up to 30.
    """

    kind: Literal["opencv", "url", "gstreamer", "genicam", "aravis", "folder", "video"]
    source: str
    producer: File | None = None
    reconnect_s: Annotated[float, Field(gt=0)] = 0.5


class ModbusConfiguration(ClosedEntry):
    """The Modbus TCP server; every station of the configuration is a unit of it."""

    host: str = "127.0.0.1"
    port: Port = 1502
    word_order: Literal["high_first", "low_first"] = "high_first"
    clients: tuple[str, ...] = ()
    heartbeat_s: Annotated[float, Field(ge=0)] = 0
    acknowledge_s: Annotated[float, Field(gt=0)] = 10


class OpcUaConfiguration(ClosedEntry):
    """The OPC UA server."""

    host: str = "127.0.0.1"
    port: Port = 4840
    certificate: File | None = None
    private_key: File | None = None
    trusted: File | None = None
    allow_unencrypted: bool = False
    nodeset: File | None = None


class MqttConfiguration(ClosedEntry):
    """The MQTT publisher."""

    host: str
    port: Port = 8883
    base: str = "edgekd/v1"
    tls: bool = True
    certificate_authority: File | None = None
    username: str | None = None
    password_file: File | None = None
    commands: tuple[Literal["rebirth", "selftest", "job"], ...] = ()


class WebhookConfiguration(ClosedEntry):
    """Where results are posted to as JSON."""

    url: str
    verdicts: tuple[Literal["OK", "NG", "ERROR"], ...] = ("NG", "ERROR")
    secret_file: File | None = None
    timeout_s: Annotated[float, Field(gt=0)] = 5


class PageConfiguration(ClosedEntry):
    """The page that people look at in a browser.

    Attributes:
        host: Address to listen on; beyond this machine it needs a certificate.
        port: Likewise.
        certificate: PEM file of the server, with its chain.
        private_key: Of the certificate.
        names: Other names by which browsers reach the page, such as "station-3.plant.example".
        idle_minutes: After which somebody who does nothing is logged out.
    """

    host: str = "127.0.0.1"
    port: Port = 8080
    certificate: File | None = None
    private_key: File | None = None
    names: tuple[str, ...] = ()
    idle_minutes: Annotated[float, Field(gt=0)] = 15


class OutputsConfiguration(ClosedEntry):
    """Digital outputs of a Jetson, by the pin's number on the 40-pin header; None for none."""

    ok: int | None = None
    ng: int | None = None
    error: int | None = None
    ready: int | None = None
    pulse_ms: Annotated[float, Field(gt=0)] = 100


class TimerConfiguration(ClosedEntry):
    """A trigger by time, for a free-running station."""

    every_ms: Annotated[float, Field(gt=0)] = 1000


class OneStation(ClosedEntry):
    """A station: a place where a part is inspected.

    Attributes:
        name: Its name.
        unit: Its Modbus unit.
        trigger: Who triggers; exactly one.
        cameras: What sees the part, by names; the worst verdict counts.
        job: Loaded at the start; None waits to be asked for.
        outputs: Its digital outputs.
        timer: Where `trigger` is "timer".
        start_online: Whether it goes online by itself after a start, through its self-test.
    """

    name: Name
    unit: Annotated[int, Field(ge=1, le=247)] = 1
    trigger: Literal["modbus", "opcua", "camera", "timer"] = "modbus"
    cameras: tuple[Name, ...]
    job: int | None = None
    outputs: OutputsConfiguration | None = None
    timer: TimerConfiguration = TimerConfiguration()
    start_online: bool = False


class Storage(ClosedEntry):
    """Room on the disk.

    Attributes:
        low: Share of the disk below which kept images go, OK first.
        least: Share below which none are kept.
        rows_days: How long verdicts are kept, at least 365; they are never removed for want of room.
    """

    low: Annotated[float, Field(gt=0, lt=1)] = 0.15
    least: Annotated[float, Field(gt=0, lt=1)] = 0.05
    rows_days: Annotated[float, Field(ge=365)] = 730


class StationConfiguration(ClosedEntry):
    """What `edgekd station CONFIG.toml` reads; paths are relative to the file.

    Attributes:
        site: Where the line stands; part of MQTT's topics.
        line: Its name.
        data: Folder of the record and its images.
        recipes: Folder of the recipes.
        stations: One or several.
        cameras: By their names.
        modbus: None for none; likewise the others.
        page: None for none.
        storage: Room on the disk.
    """

    site: Name = "site"
    line: Name = "line"
    data: File
    recipes: File
    stations: Annotated[tuple[OneStation, ...], Field(min_length=1)]
    cameras: dict[Name, CameraConfiguration]
    modbus: ModbusConfiguration | None = None
    opcua: OpcUaConfiguration | None = None
    mqtt: MqttConfiguration | None = None
    webhook: WebhookConfiguration | None = None
    page: PageConfiguration | None = None
    storage: Storage = Storage()
