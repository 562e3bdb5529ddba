"""Stations that their camera triggers: each frame is a part, and the frame that came is the one that is judged."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from dataclasses import replace

import cv2
import pytest

from edgekd.result import Verdict
from edgekd.station import service
from edgekd.station.configuration import CameraConfiguration, OneStation, StationConfiguration
from edgekd.station.error_codes import ErrorCode
from edgekd.station.events import Published
from edgekd.station.parts import Part
from edgekd.station.states import State

from ..cameras.counterparts import GIGE_ADDRESS, fake_gige_camera
from ..inspector.parts_by_hand import bad_part, good_part, make_recipe
from .fakes import GOOD, bench, inspected, until
from .fakes import run as run_shortly

SECONDS = 30.0


def run(work):
    return asyncio.run(asyncio.wait_for(work, SECONDS))


@contextlib.asynccontextmanager
async def triggered_by(tmp_path, camera, **recipe):
    """A station that its camera triggers, and what it publishes."""
    make_recipe(tmp_path / "recipes", **recipe)
    station = OneStation(name="press", cameras=("top",), trigger="camera", job=1, start_online=True)
    configuration = StationConfiguration(
        data=tmp_path / "data", recipes=tmp_path / "recipes", stations=(station,), cameras={"top": camera}
    )
    async with service.running(configuration) as it:
        [press] = it.stations
        yield press, press.events.subscribe()


async def published(events):
    while True:
        event = await events.next()
        if isinstance(event, Published):
            return event.outcome


class Folder:
    """A folder into which parts are put as a camera's program does."""

    def __init__(self, path):
        self._path, self._part = path / "images", path / "part.png"
        self._path.mkdir()
        self.camera = CameraConfiguration(kind="folder", source=str(self._path))

    def put(self, name, image):
        cv2.imwrite(str(self._part), image)
        os.rename(self._part, self._path / f"{name}.png")


def test_each_frame_is_a_part_and_is_judged_by_itself(tmp_path):
    folder = Folder(tmp_path)

    async def test():
        folder.put("old", bad_part(99))  # From before the start: no part.
        async with triggered_by(tmp_path, folder.camera, trigger="hardware") as (press, events):
            await until(lambda: press.snapshot().trigger_ready, SECONDS)
            for number in range(1, 7):
                began = time.monotonic()
                folder.put(number, (bad_part if number % 2 else good_part)(number))
                outcome = await published(events)
                assert outcome.verdict is (Verdict.NG if number % 2 else Verdict.OK), outcome
                assert (outcome.source, outcome.inspected.frame_id) == ("camera", number)
                assert outcome.total_ms <= (time.monotonic() - began) * 1000
                await until(lambda: press.snapshot().trigger_ready)
            assert press.snapshot().counters.total == 6
            assert not press.snapshot().missed_trigger
            # As fast as they can be written, and no more than a camera keeps: each has an answer, and never another's.
            for number in range(7, 10):
                await asyncio.to_thread(folder.put, number, (bad_part if number % 2 else good_part)(number))
            outcomes = [await published(events) for _ in range(3)]
            judged = [each for each in outcomes if each.error is ErrorCode.NONE]
            assert judged[0].inspected.frame_id == 7
            for each in judged:
                assert each.verdict is (Verdict.NG if each.inspected.frame_id % 2 else Verdict.OK)
            refused = {each.error for each in outcomes} - {ErrorCode.NONE}
            assert refused <= {ErrorCode.TRIGGER_NOT_READY}
            assert press.snapshot().missed_trigger is bool(refused)

    run(test())


def test_a_recipe_that_has_the_camera_wait_for_the_station_is_refused(tmp_path):
    played = tmp_path / "played"
    played.mkdir()
    cv2.imwrite(str(played / "1.png"), good_part())

    async def test():
        camera = CameraConfiguration(kind="video", source=str(played))
        async with triggered_by(tmp_path, camera, trigger="software") as (press, _):
            await until(lambda: press.snapshot().state is State.NO_JOB, SECONDS)
            [alarm] = press.snapshot().alarms
            assert alarm.code is ErrorCode.LOADING_FAILED
            assert 'set cameras.top.trigger to "hardware" or "free_run"' in alarm.text

    run(test())


@pytest.mark.faults
def test_a_camera_that_runs_freely_triggers_at_its_own_rate(tmp_path):
    played = tmp_path / "played"
    played.mkdir()
    for number in range(20):
        cv2.imwrite(str(played / f"{number:02}.png"), (bad_part if number % 2 else good_part)(number))

    async def test():
        camera = CameraConfiguration(kind="video", source=str(played))
        async with triggered_by(tmp_path, camera, trigger="free_run") as (press, events):
            await until(lambda: press.snapshot().trigger_ready, SECONDS)
            found = []
            while len(found) < 8:
                outcome = await published(events)
                if outcome.error is ErrorCode.NONE:
                    found.append((outcome.inspected.frame_id % 2, outcome.verdict))
            assert set(found) <= {(1, Verdict.OK), (0, Verdict.NG)}  # Frames count from 1, images from 0.

    run(test())


@pytest.mark.faults
def test_a_gige_camera_that_runs_freely_triggers_at_its_own_rate(tmp_path):
    async def test():
        camera = CameraConfiguration(kind="aravis", source=GIGE_ADDRESS)
        async with triggered_by(tmp_path, camera, trigger="free_run", checks=False) as (press, events):
            await until(lambda: press.snapshot().trigger_ready, SECONDS)
            numbers = []
            while len(numbers) < 10:
                outcome = await published(events)
                if outcome.inspected is not None:
                    assert outcome.error is ErrorCode.NONE, outcome
                    numbers.append(outcome.inspected.frame_id)
            assert numbers == sorted(set(numbers))

    with fake_gige_camera():
        run(test())


def test_the_deadline_of_a_part_begins_with_its_frame():
    async def test():
        async with bench(trigger="camera", answer=inspected(GOOD)) as it:
            received = time.monotonic() - 0.1
            it.station.trigger_by_camera(received)
            await until(lambda: it.station.snapshot().outcome)
            [acquisition] = it.record.begun
            assert (acquisition.triggered, acquisition.source) == (received, "camera")
            assert acquisition.deadline < received + 2
            outcome = it.station.snapshot().outcome
            assert (outcome.verdict, outcome.total_ms >= 100) == (Verdict.OK, True)
            assert abs(outcome.triggered_utc_ms + 100 - time.time() * 1000) < 1000

    run_shortly(test())


def test_a_frame_that_comes_while_a_part_is_in_work_is_a_missed_trigger():
    async def test():
        async with bench(trigger="camera") as it:
            it.station.trigger_by_camera(time.monotonic())
            await until(lambda: it.inspector.under_way)
            it.station.trigger_by_camera(time.monotonic())
            assert it.station.snapshot().missed_trigger
            await it.written()
            [refused] = it.record.rows
            assert (refused.verdict, refused.error) == (Verdict.ERROR, ErrorCode.TRIGGER_NOT_READY)
            assert (refused.source, it.station.snapshot().counters.missed) == ("camera", 1)

    run_shortly(test())


def test_a_frame_while_somebody_tries_a_part_is_that_parts_own():
    async def test():
        async with bench(trigger="camera") as it:
            it.station.simulate(True, "page")
            reply = it.station.trigger(Part(7), "page")
            it.station.trigger_by_camera(time.monotonic())
            await until(lambda: it.inspector.under_way)
            assert not it.station.snapshot().missed_trigger
            good = replace(inspected(GOOD), acquisition_id=reply.acquisition_id, recipe_digest="digest of 7")
            it.inspector.under_way[reply.acquisition_id].set_result(good)
            await until(lambda: it.station.snapshot().outcome)
            assert it.station.snapshot().outcome.part == Part(7)

    run_shortly(test())
