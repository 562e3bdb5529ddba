"""Reading a station's configuration: its paths resolved, its parts held against each other."""

from __future__ import annotations

import difflib
import ipaddress
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel

from edgekd.errors import EdgekdError
from edgekd.station.configuration import CameraConfiguration, StationConfiguration
from edgekd.toml_files import read_toml

OF_FILES = ("folder", "video")  # Kinds of cameras whose source is a path.
FIRST_FREE_PORT = 1024  # Those below need a right that a station's own user lacks.
Model = TypeVar("Model", bound=BaseModel)


def read_configuration(path: Path) -> StationConfiguration:
    """Reads the file that `edgekd station` takes.

    Args:
        path: The TOML file; what it names is relative to its folder.

    Returns:
        The configuration, with absolute paths.

    Raises:
        ArtifactError: It cannot be read; or a field is missing, wrong or not known, and is named.
        EdgekdError: Its parts do not fit together: a camera that is not there, a unit that comes twice.
    """
    configuration = _resolved(read_toml(path, StationConfiguration, "correct it"), path.absolute().parent)
    problem = next(_problems(configuration), "")
    if problem:
        raise EdgekdError(f"{path}: {problem}")
    return configuration


def warnings_of(configuration: StationConfiguration) -> list[str]:
    """What is allowed and may still be a mistake, a line each.

    Args:
        configuration: As `read_configuration` gives it.
    """
    return list(_warnings(configuration))


def _resolved(model: Model, folder: Path) -> Model:
    """A model with its paths absolute."""
    update: dict[str, Any] = {}
    for name, value in model:
        if isinstance(value, Path):
            update[name] = folder / value.expanduser()
        elif isinstance(value, BaseModel):
            update[name] = _resolved(value, folder)
        elif isinstance(value, dict):
            update[name] = {key: _resolved(each, folder) for key, each in value.items()}
    if isinstance(model, CameraConfiguration) and model.kind in OF_FILES:
        update["source"] = str(folder / Path(model.source).expanduser())
    return model.model_copy(update=update)


def _problems(configuration: StationConfiguration) -> Iterator[str]:
    yield from _station_problems(configuration)
    for name, camera in configuration.cameras.items():
        if camera.kind == "genicam" and camera.producer is None:
            yield f"cameras.{name}.producer is missing: name the GenTL producer, a .cti file, of the camera's maker"
    if configuration.storage.least >= configuration.storage.low:
        yield "storage.least must be less than storage.low"
    yield from _line_problems(configuration)
    yield from _page_problems(configuration)
    for field, path in _paths(configuration):
        if not path.exists():
            yield f"{field} names {path}, which does not exist"


def _station_problems(configuration: StationConfiguration) -> Iterator[str]:
    stations = configuration.stations
    for field in ("name", *(("unit",) if configuration.modbus else ())):
        twice = _twice(getattr(station, field) for station in stations)
        if twice is not None:
            yield f"two stations have the {field} {twice}: give each its own"
    for station in stations:
        if station.trigger in ("modbus", "opcua") and getattr(configuration, station.trigger) is None:
            yield f"station {station.name} is triggered by {station.trigger}: add [{station.trigger}]"
        if station.trigger == "camera" and len(station.cameras) > 1:
            yield f"station {station.name} is triggered by its camera, and has {len(station.cameras)}: name one"
        if not station.cameras:
            yield f"station {station.name} has no camera: name one of {', '.join(configuration.cameras) or 'yours'}"
        for camera in station.cameras:
            if camera not in configuration.cameras:
                nearest = difflib.get_close_matches(camera, configuration.cameras, n=1)
                hint = f"did you mean {nearest[0]}" if nearest else f"add [cameras.{camera}]"
                yield f"station {station.name} names the camera {camera}, which is not there: {hint}"
    twice = _twice(camera for station in stations for camera in station.cameras)
    if twice is not None:
        yield f"the camera {twice} is named twice: only one station can trigger it"


def _line_problems(configuration: StationConfiguration) -> Iterator[str]:
    modbus, opcua, mqtt, webhook = (getattr(configuration, name) for name in ("modbus", "opcua", "mqtt", "webhook"))
    if modbus and opcua and modbus.port == opcua.port != 0:
        yield f"modbus.port and opcua.port are both {modbus.port}: give each its own"
    if opcua and (opcua.certificate is None) != (opcua.private_key is None):
        yield "opcua.certificate and opcua.private_key belong together: name both, or neither"
    if mqtt and (mqtt.username is None) != (mqtt.password_file is None):
        yield "mqtt.username and mqtt.password_file belong together: name both, or neither"
    if mqtt and mqtt.commands and mqtt.username is None:
        yield "mqtt.commands need a broker that knows who sends them: set mqtt.username and mqtt.password_file"
    if webhook and urlsplit(webhook.url).scheme not in ("http", "https"):
        yield f"webhook.url must begin with https:// or http://, got {webhook.url!r}"
    yield from _open_secrets(
        ("mqtt.password_file", mqtt and mqtt.password_file),
        ("webhook.secret_file", webhook and webhook.secret_file),
    )


def _page_problems(configuration: StationConfiguration) -> Iterator[str]:
    page = configuration.page
    if page is None:
        return
    if (page.certificate is None) != (page.private_key is None):
        yield "page.certificate and page.private_key belong together: name both, or neither"
    if page.certificate is None and not _is_loopback(page.host):
        yield f"page.host {page.host} is open to the network: passwords need page.certificate and page.private_key"
    for name in ("modbus", "opcua"):
        part = getattr(configuration, name)
        if part is not None and part.port == page.port != 0:
            yield f"{name}.port and page.port are both {page.port}: give each its own"
    yield from _open_secrets(("page.private_key", page.private_key))


def _open_secrets(*secrets: tuple[str, Path | None]) -> Iterator[str]:
    """Files that others may read as well."""
    for field, path in secrets:
        if path is not None and path.exists() and os.name == "posix" and path.stat().st_mode & 0o077:
            yield f"{field}: others may read {path}: 'chmod 600 {path}'"


def _paths(configuration: StationConfiguration) -> Iterator[tuple[str, Path]]:
    """Files and folders that must be there; the folder of the record is made."""
    yield "recipes", configuration.recipes
    for name, camera in configuration.cameras.items():
        if camera.producer is not None:
            yield f"cameras.{name}.producer", camera.producer
    for part in ("opcua", "mqtt", "webhook", "page"):
        for field, value in getattr(configuration, part) or ():
            if isinstance(value, Path):
                yield f"{part}.{field}", value


def _warnings(configuration: StationConfiguration) -> Iterator[str]:
    modbus, opcua, mqtt, webhook = (getattr(configuration, name) for name in ("modbus", "opcua", "mqtt", "webhook"))
    used = {camera for station in configuration.stations for camera in station.cameras}
    for name in configuration.cameras:
        if name not in used:
            yield f"the camera {name} belongs to no station"
    if modbus and not _is_loopback(modbus.host):
        who = "any machine that reaches it may trigger" if not modbus.clients else "Modbus knows no password"
        yield f"modbus.host {modbus.host} is open to the network, and {who}: set modbus.clients, keep it on its own net"
    if opcua and not _is_loopback(opcua.host) and opcua.allow_unencrypted:
        yield f"opcua.host {opcua.host} is open to the network without encryption: remove opcua.allow_unencrypted"
    for name, part in (("modbus", modbus), ("opcua", opcua), ("page", configuration.page)):
        if part and 0 < part.port < FIRST_FREE_PORT:
            yield f"{name}.port {part.port} needs the capability CAP_NET_BIND_SERVICE, which the service's unit gives"
    if mqtt and not mqtt.tls and not _is_loopback(mqtt.host):
        yield f"mqtt.host {mqtt.host} is reached without TLS: anybody on the way can read and change what is sent"
    if webhook and urlsplit(webhook.url).scheme == "http" and not _is_loopback(urlsplit(webhook.url).hostname or ""):
        yield f"webhook.url {webhook.url} is not encrypted: use https"


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _twice(values: Iterable[Any]) -> Any:
    """The first value that comes a second time; None where none does."""
    seen = set()
    for value in values:
        if value in seen:
            return value
        seen.add(value)
    return None
