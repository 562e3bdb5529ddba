"""Recipes on their way to judge: what was altered is not loaded, and stations share what they can."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from edgekd.station.error_codes import ErrorCode, StationError
from edgekd.station.inspector import loading
from edgekd.station.inspector.loading import Models
from edgekd.station.inspector.self_test import run_self_test
from edgekd.station.recipe_release import next_revision, release

from .parts_by_hand import SIDE, bad_part, good_part, make_recipe


@pytest.fixture
def models(tmp_path):
    models = Models(tmp_path)
    yield models
    models.close()


def refusal(models, job=1):
    with pytest.raises(StationError) as failure:
        models.get(job)
    assert "\n" not in str(failure.value)
    return failure.value.code


@pytest.mark.parametrize("name", ["x.onnx", "x.json", "good.png"])
def test_a_recipe_with_one_byte_altered_is_not_loaded_and_nothing_of_it_is_parsed(tmp_path, models, name, monkeypatch):
    folder = make_recipe(tmp_path)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).chmod(0o644)
    (folder / name).write_bytes(content)
    monkeypatch.setattr(loading, "open_engine", lambda *args, **options: pytest.fail("an altered recipe was opened"))
    assert refusal(models) is ErrorCode.DIGEST_DIFFERS


def test_a_draft_is_no_recipe_of_a_job(tmp_path, models):
    make_recipe(tmp_path, released=False)
    assert refusal(models) is ErrorCode.JOB_UNKNOWN


def with_manifest(folder, change):
    """Changes a draft's manifest and releases it, whatever it holds."""
    path = folder / "x.json"
    manifest = json.loads(path.read_text())
    change(manifest)
    path.write_text(json.dumps(manifest))
    release(folder, "tester", "for tests")


def test_a_threshold_that_is_no_number_is_refused(tmp_path, models, monkeypatch):
    # Releasing refuses it too, so this is what somebody else's tool has released.
    monkeypatch.setattr("edgekd.station.recipe_release._require_complete", lambda *args: None)
    folder = make_recipe(tmp_path, released=False)
    with_manifest(folder, lambda manifest: manifest["threshold"].update(value=float("nan")))
    assert refusal(models) is ErrorCode.LOADING_FAILED


def test_an_artifact_without_a_threshold_is_refused(tmp_path, models, monkeypatch):
    monkeypatch.setattr("edgekd.station.recipe_release._require_complete", lambda *args: None)
    folder = make_recipe(tmp_path, released=False)
    with_manifest(folder, lambda manifest: manifest.pop("threshold"))
    assert refusal(models) is ErrorCode.LOADING_FAILED


def test_a_back_end_that_cannot_run_it_is_a_failure_of_loading_and_not_remembered(tmp_path, models, monkeypatch):
    make_recipe(tmp_path)
    opening = loading.open_engine

    def fails(*args, **options):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(loading, "open_engine", fails)
    assert refusal(models) is ErrorCode.LOADING_FAILED
    monkeypatch.setattr(loading, "open_engine", opening)
    assert models.get(1).loaded.job == 1


def test_recipes_of_one_detector_share_its_engine_and_others_do_not(tmp_path, models):
    make_recipe(tmp_path, 1)
    make_recipe(tmp_path, 2, detector="threshold = 190.0")
    make_recipe(tmp_path, 3, backend="openvino")
    first, second, third = (models.get(job) for job in (1, 2, 3))
    assert first.engine is second.engine
    assert first.engine is not third.engine
    assert (first.limits.threshold, second.limits.threshold) == (180.0, 190.0)
    assert models.get(1) is first


def test_an_engine_that_nobody_needs_is_closed_and_a_preloaded_one_stays_until_its_next_revision(tmp_path, models):
    make_recipe(tmp_path, 1)
    folder = make_recipe(tmp_path, 2, preload=True, backend="openvino")
    first, second = models.get(1), models.get(2)
    models.release_unused([])
    assert models.get(2) is second
    assert models.get(1).engine is not first.engine
    another = next_revision(folder)
    text = (another / "recipe.toml").read_text()
    (another / "recipe.toml").write_text(text.replace("threads = 1", "threads = 2"))
    release(another, "tester", "for tests")
    third = models.get(2)
    models.release_unused([third])
    assert (third.recipe.revision, models.get(2)) == (2, third)
    with pytest.raises(Exception, match="closed"):
        second.engine.infer(np.zeros((1, SIDE, SIDE, 3), np.uint8))


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_each_of_four_threads_gets_the_answers_to_its_own_images(tmp_path, models, backend):
    make_recipe(tmp_path, backend=backend)
    engine = models.get(1).engine

    def scores(level):
        frames = np.full((1, SIDE, SIDE, 3), level, np.uint8)
        found = [engine.infer(frames) for _ in range(25)]
        assert all((outputs.anomaly_maps == level).all() for outputs in found)
        return {float(outputs.scores[0]) for outputs in found}

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(scores, (10, 60, 110, 160))) == [{10.0}, {60.0}, {110.0}, {160.0}]


def test_a_self_test_passes_where_verdicts_and_scores_are_as_released(tmp_path, models):
    make_recipe(tmp_path)
    report = run_self_test(models.get(1))
    assert (report.passed, report.differences) == (True, ())


def test_a_self_test_names_a_reference_that_scores_outside_its_band_or_otherwise(tmp_path, models):
    make_recipe(tmp_path, 1, highest=100.0)
    report = run_self_test(models.get(1))
    assert not report.passed
    assert len(report.differences) == 1
    assert "good.png: OK with score" in report.text
    folder = make_recipe(tmp_path, 2, released=False)
    cv2.imwrite(str(folder / "good.png"), bad_part(5))
    cv2.imwrite(str(folder / "bad.png"), np.zeros_like(good_part()))
    release(folder, "tester", "for tests")
    report = run_self_test(models.get(2))
    assert not report.passed
    assert "good.png: NG" in report.differences[0]
    assert "bad.png: ERROR 201" in report.differences[1]


def test_a_self_test_fails_where_a_file_was_altered_since_it_was_loaded(tmp_path, models):
    folder = make_recipe(tmp_path)
    model = models.get(1)
    (folder / "good.png").unlink()
    cv2.imwrite(str(folder / "good.png"), good_part(7))
    report = run_self_test(model)
    assert not report.passed
    assert "good.png was changed" in report.text
