"""One image: every way in which it cannot be judged has its own code, and none of them is OK."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector.judging import FrozenCheck, Judge, is_ok, worst
from edgekd.station.inspector.loading import Models
from edgekd.station.parts import Inspected

from .parts_by_hand import HEIGHT, WIDTH, bad_part, good_part, make_recipe, nan_when_dark


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    recipes = tmp_path_factory.mktemp("recipes")
    make_recipe(recipes, 1)
    make_recipe(recipes, 2, checks=False, nodes=nan_when_dark())
    make_recipe(recipes, 3, detector="grey_zone = [140.0, 180.0]", highest=139.0, backend="openvino")
    models = Models(recipes)
    yield models
    models.close()


def judged(models, image, job=1, frozen=None, bit_depth=8, frame_id=None):
    known = Inspected(7, camera="top", frame_id=frame_id, timings={"acquire": 1.0})
    seen = Judge(models.get(job), image, bit_depth, known, frozen).judge()
    if seen.inspected.error is not ErrorCode.NONE:
        assert not is_ok(seen.inspected)
        assert math.isnan(seen.inspected.score)
    return seen.inspected


def test_a_good_part_and_a_bad_one_are_told_apart_and_the_spot_is_found(models):
    good, bad = judged(models, good_part(1)), judged(models, bad_part(2))
    assert is_ok(good)
    assert (good.error, good.pixels, good.camera) == (ErrorCode.NONE, (HEIGHT, WIDTH), "top")
    assert {"acquire", "check", "pre", "inference", "post"} <= set(good.timings)
    assert not is_ok(bad)
    assert (bad.error, bad.threshold) == (ErrorCode.NONE, 180.0)
    (x, y, width, height) = bad.regions[0].box
    assert 36 <= x <= 42
    assert 50 <= x + width <= 54
    assert 22 <= y <= 26
    assert 34 <= y + height <= 38
    assert bad.severity > 1 > good.severity


def test_a_score_in_the_grey_zone_is_uncertain_and_so_not_ok(models):
    uncertain = judged(models, bad_part(3, level=150), job=3)
    assert (uncertain.error, uncertain.uncertain) == (ErrorCode.NONE, True)
    assert uncertain.score < uncertain.threshold
    assert not is_ok(uncertain)
    assert uncertain.regions  # So that people see why.


def blurred(image):
    return cv2.GaussianBlur(image, (0, 0), 3)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [
        (lambda image: image // 10, ErrorCode.IMAGE_BLACK),
        (np.zeros_like, ErrorCode.IMAGE_BLACK),
        (lambda image: np.full_like(image, 255), ErrorCode.IMAGE_OVEREXPOSED),
        (lambda image: np.full_like(image, 100), ErrorCode.IMAGE_CONTRAST),
        (blurred, ErrorCode.IMAGE_DEFOCUSED),
        (lambda image: image[:-1], ErrorCode.IMAGE_FORMAT),
        (lambda image: image[:8, :8], ErrorCode.IMAGE_FORMAT),
        (lambda image: image.astype(np.int32), ErrorCode.IMAGE_FORMAT),
        (lambda image: np.stack([image] * 2), ErrorCode.IMAGE_FORMAT),
    ],
)
def test_an_image_that_shows_no_part_as_it_is_has_the_code_of_its_fault(models, spoil, code):
    found = judged(models, spoil(good_part(4)))
    assert found.error is code
    assert found.error_text
    assert "\n" not in found.error_text


def test_a_score_that_is_no_number_is_an_error(models):
    assert is_ok(judged(models, good_part(5), job=2))
    assert judged(models, good_part(5) // 4, job=2).error is ErrorCode.SCORE_NOT_FINITE


def test_twelve_bits_are_judged_by_their_own_depth(models):
    mono = good_part(6)[:, :, 1].astype(np.uint16) << 4
    assert is_ok(judged(models, mono, bit_depth=12))
    assert judged(models, mono, bit_depth=9).error is ErrorCode.IMAGE_FORMAT


def test_an_image_that_comes_again_is_frozen_by_its_pixels_and_by_its_number(models):
    frozen = FrozenCheck()
    assert is_ok(judged(models, good_part(7), frozen=frozen, frame_id=1))
    assert judged(models, good_part(7), frozen=frozen, frame_id=2).error is ErrorCode.IMAGE_FROZEN
    assert judged(models, good_part(8), frozen=frozen, frame_id=2).error is ErrorCode.IMAGE_FROZEN
    assert is_ok(judged(models, good_part(9), frozen=frozen, frame_id=3))


def test_an_engine_that_fails_or_is_lost_is_an_error_of_its_own_kind(models, monkeypatch):
    engine = models.get(1).engine.engine

    def fails(frames, maps_above):
        raise RuntimeError("CUDA error: an illegal memory access\nmore of it")

    monkeypatch.setattr(engine, "infer", fails)
    found = judged(models, good_part(10))
    assert (found.error, found.error_text) == (
        ErrorCode.ENGINE_FAILED,
        "the engine failed: RuntimeError: CUDA error: an illegal memory access",
    )
    monkeypatch.setattr(engine.limit, "broken", "the GPU does not respond")
    assert judged(models, good_part(10)).error is ErrorCode.DEVICE_LOST


def test_what_several_cameras_saw_is_the_worst_of_it():
    good = Inspected(1, score=1, threshold=2, severity=0.5, camera="a")
    better = Inspected(1, score=1, threshold=2, severity=0.1, camera="b")
    bad = Inspected(1, score=3, threshold=2, severity=1.5, camera="c")
    worse = Inspected(1, score=4, threshold=2, severity=2.5, camera="d")
    uncertain = Inspected(1, score=1.9, threshold=2, severity=0.9, camera="e", uncertain=True)
    lost = Inspected(1, error=ErrorCode.CAMERA_LOST, camera="f")
    unknown = Inspected(1, camera="g")  # Neither an error nor a score.
    assert worst([better, good]).camera == "a"
    assert worst([good, bad, worse, better]).camera == "d"
    assert worst([good, uncertain]).camera == "e"
    assert worst([worse, lost, good]).camera == "f"
    assert not is_ok(worst([good, unknown]))


def test_a_recipe_of_no_job_is_not_loaded(models):
    with pytest.raises(StationError) as failure:
        models.get(999)
    assert failure.value.code is ErrorCode.JOB_UNKNOWN
