"""What `edgekd station --check` looks at: files and ports, cameras, recipes and their self-tests."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Container, Iterator
from dataclasses import dataclass
from pathlib import Path

from edgekd.errors import EdgekdError
from edgekd.station.configuration import OneStation, StationConfiguration
from edgekd.station.configuration_file import warnings_of
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.client import InspectorClient
from edgekd.station.inspector.listeners import Listeners
from edgekd.station.recipe_store import StoredRecipe, list_recipes, problem_of
from edgekd.station.tasks import within

CAMERA_S = 15.0  # For which a camera may take to be opened.


@dataclass(frozen=True)
class Finding:
    """Something that was looked at.

    Attributes:
        what: Its kind, such as "camera".
        name: Which.
        ok: Whether it is as it must be.
        text: What was seen, or what is wrong and what to do.
    """

    what: str
    name: str
    ok: bool
    text: str


async def check(configuration: StationConfiguration) -> AsyncIterator[Finding]:
    """Opens what a station would open, and tells what it finds, one after another.

    No trigger is taken, nothing goes to the PLC and nothing on record. Cameras and ports must be free: a station that
    runs has to be stopped before.

    Args:
        configuration: Of the stations.
    """
    for warning in warnings_of(configuration):
        yield Finding("note", "", True, warning)
    for finding in (_data(configuration.data), *_ports(configuration)):
        yield finding
    recipes = list_recipes(configuration.recipes)
    for finding in _recipes(configuration, recipes):
        yield finding
    problems = _camera_problems(configuration)
    for name, problem in problems.items():
        yield Finding("camera", name, False, problem)
    async for finding in _opened(_without(configuration, problems), recipes):
        yield finding


async def _opened(configuration: StationConfiguration, recipes: list[StoredRecipe]) -> AsyncIterator[Finding]:
    """Opens cameras and detectors in a process like a station's, and runs the self-tests."""
    opened: dict[str, asyncio.Future[str]] = {}
    loop = asyncio.get_running_loop()

    def on_camera(name: str, up: bool, code: ErrorCode, text: str) -> None:
        future = opened.setdefault(name, loop.create_future())
        if not future.done():
            future.set_result("" if up else text or str(code))

    client = InspectorClient(configuration, Listeners(on_camera=on_camera))
    try:
        await client.start()
    except StationError as error:
        yield Finding("inspector", "", False, str(error))
        return
    try:
        for station in configuration.stations:
            for camera in station.cameras:
                yield await _camera(camera, opened.setdefault(camera, loop.create_future()))
            for recipe in recipes:
                if recipe.status == "released" and _suits(recipe, station):
                    yield await _self_test(client, station.name, recipe)
    finally:
        await client.stop()


def _camera_problems(configuration: StationConfiguration) -> dict[str, str]:
    """Cameras that no process could open, since their configuration is wrong or a library is missing."""
    from edgekd.station.cameras.opening import make_driver  # It imports OpenCV, which control must not.

    problems = {}
    for name, camera in configuration.cameras.items():
        try:
            make_driver(name, camera)
        except EdgekdError as error:
            problems[name] = str(error)
    return problems


def _without(configuration: StationConfiguration, cameras: Container[str]) -> StationConfiguration:
    """The configuration of those stations that need none of these cameras."""
    stations = tuple(each for each in configuration.stations if not any(name in cameras for name in each.cameras))
    kept = {name: camera for name, camera in configuration.cameras.items() if name not in cameras}
    return configuration.model_copy(update={"stations": stations, "cameras": kept})


async def _camera(name: str, opened: asyncio.Future[str]) -> Finding:
    try:
        problem = await within(CAMERA_S, opened)
    except asyncio.TimeoutError:
        problem = f"it was not opened in {CAMERA_S:g} s: check its cable and its source"
    return Finding("camera", name, not problem, problem or "opened")


async def _self_test(client: InspectorClient, station: str, recipe: StoredRecipe) -> Finding:
    name = f"{recipe.id}/{recipe.revision}"
    assert recipe.recipe is not None
    try:
        await client.load(station, recipe.recipe.job)
        report = await client.self_test(station)
    except StationError as error:
        return Finding("self-test", name, False, str(error))
    finally:
        await client.unload(station)
    return Finding("self-test", name, report.passed, "; ".join([report.text, *report.differences]))


def _data(folder: Path) -> Finding:
    """Whether the record can be written: a file is made and removed."""
    test = folder / f".check.{os.getpid()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        test.touch()
        test.unlink()
    except OSError as error:
        return Finding("record", str(folder), False, f"cannot be written: {error.strerror or error}")
    return Finding("record", str(folder), True, "can be written")


def _ports(configuration: StationConfiguration) -> Iterator[Finding]:
    """Whether the servers' addresses are this machine's and free."""
    for name in ("modbus", "opcua"):
        server = getattr(configuration, name)
        if server is not None:
            problem = _bind(server.host, server.port)
            text = f"cannot listen there: {problem}" if problem else "free"
            yield Finding(name, f"{server.host}:{server.port}", not problem, text)


def _bind(host: str, port: int) -> str:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with contextlib.closing(socket.socket(family, kind, protocol)) as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind(address)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _recipes(configuration: StationConfiguration, recipes: list[StoredRecipe]) -> Iterator[Finding]:
    """Whether recipes are whole and have a station, and stations have the recipe that they start with."""
    jobs = set()
    for recipe in recipes:
        name = f"{recipe.id}/{recipe.revision}"
        problem = problem_of(recipe)
        if recipe.recipe is None or problem:
            yield Finding("recipe", name, False, problem)
        elif recipe.status == "released":
            jobs.add(recipe.recipe.job)
            if any(_suits(recipe, station) for station in configuration.stations):
                yield Finding("recipe", name, True, f"job {recipe.recipe.job}, digest {recipe.digest[:12]}")
            else:
                cameras = ", ".join(recipe.recipe.cameras)
                yield Finding("recipe", name, False, f"no station has its cameras, {cameras}: correct their names")
        else:
            yield Finding("recipe", name, True, f"job {recipe.recipe.job}, {recipe.status}: no station uses it")
    if not recipes:
        yield Finding("recipe", str(configuration.recipes), False, "there is none: 'edgekd recipes make --help'")
    for station in configuration.stations:
        if station.job is not None and station.job not in jobs:
            yield Finding("station", station.name, False, f"starts with job {station.job}, which no recipe has")


def _suits(recipe: StoredRecipe, station: OneStation) -> bool:
    return recipe.recipe is not None and set(recipe.recipe.cameras) == set(station.cameras)
