"""Control's side of the inspector: parts, recipes, self-tests and images by way of the real process."""

from __future__ import annotations

import asyncio
import math
import os
import time
from dataclasses import replace

import cv2
import pytest

from edgekd.result import Verdict
from edgekd.station.configuration import CameraConfiguration, PageConfiguration
from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.client import InspectorClient
from edgekd.station.inspector.judging import is_ok
from edgekd.station.parts import Outcome
from edgekd.station.recipes import CameraSettings

from .bench import Bench
from .parts_by_hand import bad_part, good_part, make_recipe

FOUR = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    stations = {"one": ("top",), "two": ("left", "right"), "three": ("third",), "four": ("fourth",)}
    bench = Bench(tmp_path_factory.mktemp("bench"), stations)
    make_recipe(bench.recipes, 1, cameras=("top", "left", "right", "third", "fourth"), preload=True)
    make_recipe(bench.recipes, 2, cameras=("top",), detector="threshold = 250.0", preload=True)
    make_recipe(bench.recipes, 3, cameras=("another",))
    make_recipe(bench.recipes, 4, cameras=("left", "right"), timeout_ms=200)
    bench.run(bench.client.start())
    yield bench
    bench.close()


@pytest.fixture(autouse=True)
def loaded(bench):
    for camera in ("top", "left", "right"):
        bench.show(good_part(), camera)
    bench.run(bench.load())


def test_a_part_is_taken_judged_and_answered_after_its_exposure(bench):
    seen = []
    bench.show(bad_part())
    found = bench.run(bench.inspect(exposed=lambda: seen.append("exposed")))
    assert (found.error, found.error_text, seen) == (ErrorCode.NONE, "", ["exposed"])
    assert not is_ok(found)
    assert found.recipe_digest == bench.loaded["one"].digest
    assert found.camera == "top"
    assert found.regions
    bench.show(good_part())
    first, second = bench.run(bench.inspect()), bench.run(bench.inspect())
    assert is_ok(first)
    assert second.frame_id == first.frame_id + 1


def test_a_part_of_another_recipe_than_the_loaded_one_is_refused(bench):
    found = bench.run(bench.inspect(digest="0" * 64))
    assert found.error is ErrorCode.DIGEST_DIFFERS
    bench.run(bench.client.unload("one"))
    assert bench.run(bench.inspect()).error is ErrorCode.LOADING_FAILED


def test_a_failed_change_leaves_nothing_loaded(bench):
    for job, code in ((999, ErrorCode.JOB_UNKNOWN), (3, ErrorCode.LOADING_FAILED)):
        with pytest.raises(StationError) as failure:
            bench.run(bench.client.load("one", job))
        assert failure.value.code is code
        assert bench.run(bench.inspect()).error is ErrorCode.LOADING_FAILED


def test_a_camera_that_refuses_a_setting_fails_the_change(bench):
    with bench.fault("refuses"), pytest.raises(StationError, match="has no gain") as failure:
        bench.run(bench.client.load("one", 1))
    assert failure.value.code is ErrorCode.LOADING_FAILED


def test_the_worst_of_two_cameras_counts_and_the_part_may_move_once_both_are_done(bench):
    seen = []
    bench.run(bench.load(station="two"))
    bench.show(bad_part(), "right")
    found = bench.run(bench.inspect("two", exposed=lambda: seen.append(time.monotonic())))
    assert (found.error, found.camera, len(seen)) == (ErrorCode.NONE, "right", 1)
    assert not is_ok(found)
    bench.run(bench.load(4, "two"))
    with bench.fault("timeout", "left"):
        found = bench.run(bench.inspect("two", exposed=lambda: seen.append(time.monotonic())))
    assert (found.error, found.camera, len(seen)) == (ErrorCode.ACQUISITION_TIMEOUT, "left", 1)


def test_a_self_test_goes_through_the_loaded_recipe(bench):
    assert bench.run(bench.client.self_test("one")).passed
    bench.run(bench.client.unload("one"))
    assert not bench.run(bench.client.self_test("one")).passed


def test_a_change_over_between_preloaded_recipes_under_load_takes_far_less_than_a_second(bench):
    others = FOUR[1:]

    async def work(station, until):
        found = []
        while not until.is_set():
            found.append(await bench.inspect(station))
        return found

    async def change_over(until):
        took = []
        for job in (2, 1, 2, 1, 2):
            start = time.monotonic()
            await bench.client.unload("one")
            loaded = await bench.load(job)
            took.append(time.monotonic() - start)
            found = await bench.inspect()
            assert (loaded.job, found.error, found.recipe_digest) == (job, ErrorCode.NONE, loaded.digest)
            assert found.threshold == (180.0 if job == 1 else 250.0)
        until.set()
        return took

    async def together():
        until = asyncio.Event()
        return await asyncio.gather(change_over(until), *(work(station, until) for station in others))

    for station in others:
        bench.run(bench.load(station=station))
    took, *parts = bench.run(together())
    assert sorted(took)[2] < 0.5
    for found in parts:
        assert {(each.error, each.recipe_digest) for each in found} == {(ErrorCode.NONE, bench.loaded["two"].digest)}


def test_four_stations_judge_at_once_on_one_engine_and_each_gets_its_own_answers(bench):
    bench.show(bad_part(), "third")
    bench.show(good_part(), "fourth")
    for station in FOUR:
        bench.run(bench.load(station=station))

    async def parts(station):
        return [await bench.inspect(station) for _ in range(10)]

    async def together():
        return await asyncio.gather(*(parts(station) for station in FOUR))

    found = dict(zip(FOUR, bench.run(together()), strict=True))
    for station in FOUR:
        assert {each.error for each in found[station]} == {ErrorCode.NONE}
        assert {is_ok(each) for each in found[station]} == {station != "three"}


def outcome(bench, inspected, verdict):
    acquisition = bench.acquisition()
    return Outcome(
        result_id=1000 + inspected.acquisition_id,
        acquisition_id=inspected.acquisition_id,
        station="one",
        part=acquisition.part,
        job=1,
        recipe_id="plate1",
        revision=1,
        recipe_digest=inspected.recipe_digest,
        verdict=verdict,
        error=inspected.error,
        error_text=inspected.error_text,
        inspected=inspected,
        source="simulator",
        triggered_utc_ms=acquisition.triggered_utc_ms,
        published_utc_ms=acquisition.triggered_utc_ms,
        total_ms=1.0,
    )


def test_the_image_of_a_part_is_stored_where_control_wants_it(bench):
    bench.show(bad_part())

    async def store():
        before = len(bench.happened)
        inspected = await bench.inspect()
        bench.client.keep(outcome(bench, inspected, Verdict.NG), ("original", "heat_map"))
        (first,) = await bench.until("stored", after=before)
        return inspected, first

    inspected, image = bench.run(store())
    assert (image.result_id, image.kind) == (1000 + inspected.acquisition_id, "original")
    assert (bench.data / image.path).stat().st_size == image.bytes


def test_an_image_that_is_asked_for_while_there_is_no_process_is_missed_with_a_warning(bench):
    client = bench.new_client(happened := [])
    lost = outcome(bench, bench.run(bench.inspect()), Verdict.NG)
    client.keep(lost, ("original",))
    client.keep(replace(lost, result_id=7), ())
    assert [event[0] for event in happened] == ["warning"]


def test_a_late_answer_is_told_as_late_and_never_given(bench):
    async def late():
        before = len(bench.happened)
        with bench.fault("sleeps 0.4", "engine"):
            inspected = await bench.inspect(seconds=0.2)
            assert inspected.error is ErrorCode.ANSWER_LATE
            station, answer = await bench.until("late", after=before)
        assert (station, answer.acquisition_id) == ("one", inspected.acquisition_id)
        assert math.isnan(inspected.score)
        return await bench.inspect()

    assert is_ok(bench.run(late()))


def test_a_camera_that_is_lost_is_told_and_answered_at_once_and_comes_back(bench):
    async def lose():
        before = len(bench.happened)
        with bench.fault("lost"):
            name, up, code, text = await bench.until("camera", after=before)
            assert (name, up, code) == ("top", False, ErrorCode.CAMERA_LOST)
            assert "check its cable" in text
            start = time.monotonic()
            assert (await bench.inspect()).error is ErrorCode.CAMERA_LOST
            assert time.monotonic() - start < 0.3
            before = len(bench.happened)
        name, up, *_ = await bench.until("camera", after=before)
        assert (name, up) == ("top", True)
        return await bench.inspect()

    assert is_ok(bench.run(lose()))


def test_a_camera_that_repeats_its_image_and_an_engine_that_fails_are_errors(bench):
    bench.run(bench.inspect())
    with bench.fault("frozen"):
        assert bench.run(bench.inspect()).error is ErrorCode.IMAGE_FROZEN
    with bench.fault("raises", "engine"):
        assert bench.run(bench.inspect()).error is ErrorCode.ENGINE_FAILED
    assert is_ok(bench.run(bench.inspect()))


def test_nothing_is_left_of_a_process_that_was_stopped(tmp_path):
    bench = Bench(tmp_path, {"one": ("top",)})
    before = set(os.listdir("/proc/self/fd"))
    bench.run(bench.client.start())
    pid = bench.client.pid
    assert bench.client.silent_for < 5
    bench.run(bench.client.stop())
    assert bench.client.pid is None
    assert bench.client.silent_for == math.inf
    assert not os.path.exists(f"/proc/{pid}")  # Not even as a zombie.
    assert set(os.listdir("/proc/self/fd")) == before
    bench.loop.close()


def test_an_image_that_is_not_the_one_that_triggered_is_never_judged(bench):
    """The camera of this test sends it after it was asked to, and not before."""

    async def part():
        await bench.load()
        acquisition = replace(bench.acquisition(), source="camera")
        return await bench.client.inspect(acquisition, lambda: None)

    found = bench.run(part())
    assert (found.error, is_ok(found)) == (ErrorCode.IMAGE_STALE, False)
    assert "the image of camera 'top' that was the trigger is gone" in found.error_text


def test_the_process_as_it_ships_plays_a_folder_as_a_camera(tmp_path):
    played = tmp_path / "played"
    played.mkdir()
    for number in range(4):
        cv2.imwrite(str(played / f"{number}.png"), (bad_part if number % 2 else good_part)(number))
    bench = Bench(tmp_path, {"one": ("top",)})
    make_recipe(bench.recipes)
    camera = CameraConfiguration(kind="video", source=str(played))
    configuration = bench.configuration.model_copy(update={"cameras": {"top": camera}})
    client = bench.client = InspectorClient(configuration)

    async def parts():
        await client.start()
        await bench.load()
        assert (await client.self_test("one")).passed
        return [await bench.inspect(seconds=2) for _ in range(8)]

    found = bench.run(parts())
    assert [each.error for each in found] == [ErrorCode.NONE] * 8
    assert [is_ok(each) for each in found] == [True, False] * 4
    bench.close()


def test_an_image_is_taken_for_whoever_sets_a_camera_up_and_the_recipe_must_be_loaded_anew(bench, tmp_path):
    async def snap():
        bench.show(bad_part())
        snapped = await bench.client.snap("one", "top", CameraSettings(timeout_ms=2000), tmp_path / "a.png")
        assert (snapped.height, snapped.width, snapped.bit_depth) == (*bad_part().shape[:2], 8)
        assert cv2.imread(str(tmp_path / "a.png")).shape == bad_part().shape
        assert (await bench.inspect()).error is ErrorCode.LOADING_FAILED
        with pytest.raises(StationError, match="has no trigger") as refused:
            await bench.client.snap("one", "top", CameraSettings(trigger="hardware"), tmp_path / "b.png")
        assert refused.value.code is ErrorCode.LOADING_FAILED
        with bench.fault("timeout"), pytest.raises(StationError) as missed:
            await bench.client.snap("one", "top", CameraSettings(timeout_ms=50), tmp_path / "b.png")
        assert missed.value.code in (ErrorCode.ACQUISITION_TIMEOUT, ErrorCode.IMAGE_STALE)
        assert not (tmp_path / "b.png").exists()
        bench.show(good_part())
        await bench.load()
        assert is_ok(await bench.inspect())

    bench.run(snap())


def test_whoever_looks_gets_small_images_also_after_a_restart(tmp_path):
    bench = Bench(tmp_path, {"one": ("top",)})
    make_recipe(bench.recipes)
    bench.configuration = bench.configuration.model_copy(update={"page": PageConfiguration()})
    bench.client = bench.new_client(bench.happened)
    folder = bench.data / "live" / "one"

    async def small_image():
        await bench.inspect()
        end = time.monotonic() + 10
        while not (folder / f"{bench.numbers}.jpg").exists():
            assert time.monotonic() < end
            await asyncio.sleep(0.01)

    async def parts():
        await bench.client.start()
        await bench.load()
        await bench.inspect()
        await bench.inspect()  # Images are offered after the answer; those of the first part are by now.
        bench.client.watch("one", True)
        await small_image()
        assert not (folder / "1.jpg").exists()
        os.kill(bench.client.pid, 9)
        await bench.until("restarted")
        await small_image()
        bench.client.watch("one", False)
        await bench.inspect()
        await bench.inspect()
        assert not (folder / f"{bench.numbers - 1}.jpg").exists()

    bench.run(parts())
    bench.close()
