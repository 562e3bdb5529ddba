"""Setting a threshold from a run's good images and from fresh ones."""

import json
import shutil

import pytest

from edgekd.artifact import manifest_path, read_json, read_manifest, sha256, write_manifest
from edgekd.errors import EdgekdError
from edgekd.recipe import read_recipe
from edgekd.run_folder import RECIPE_FILE
from edgekd.training.run import training_images
from edgekd.workflows.scoring import engine_scores
from edgekd.workflows.threshold import ThresholdOptions, _good_images, threshold

from ..conftest import copy_images, monocrystalline


@pytest.fixture
def run(exported, tmp_path):
    """A copy of the run that may be changed."""
    copy = tmp_path / "run"
    shutil.copytree(exported.parent, copy, ignore=shutil.ignore_patterns("checkpoint*"))
    return copy


@pytest.fixture
def fresh(elpv_images, tmp_path):
    """Twenty good images that the run has not seen, and three defective ones."""
    copy_images(elpv_images[200:220], tmp_path / "fresh", 64)
    copy_images(monocrystalline("1.0")[:3], tmp_path / "bad", 64)
    return tmp_path / "fresh", tmp_path / "bad"


def test_without_other_images_it_is_what_export_chose(run):
    before = manifest_path(run / "detector.onnx").read_bytes()
    result = threshold(run)
    stored = json.loads(before)["threshold"]
    same = ("value", "expected", "bound", "median_good", "suspicious", "good_images", "trained_images")
    assert {name: result.threshold[name] for name in same} == {name: stored[name] for name in same}
    assert (result.good, result.trained, result.ng, result.written) == (11, 10, 0, False)
    assert "11 unseen good images are above it" in result.promise
    assert "11 unseen good images cannot promise fewer than 24 % false rejects" in result.warnings[0]
    assert manifest_path(run / "detector.onnx").read_bytes() == before


def test_images_of_the_same_name_among_fresh_ones_and_those_trained_on_are_told_apart(run, elpv_images, tmp_path):
    recipe = read_recipe(run)
    same = training_images(recipe)[0].relative_to(recipe.data)
    fresh = copy_images(elpv_images[300:320], tmp_path / "fresh", 64)
    folder = fresh[0].parent
    (folder / same).parent.mkdir(parents=True, exist_ok=True)
    fresh[-1].replace(folder / same)
    options = ThresholdOptions(run, good=folder)
    images = _good_images(options, run / "detector.onnx", read_manifest(run / "detector.onnx"))
    assert same.as_posix() in images.names
    assert len(set(images.names)) == len(images.names) == len(images.paths)


def test_images_that_are_given_as_good_and_as_defective_are_refused(run, fresh):
    good, _ = fresh
    with pytest.raises(EdgekdError, match=r"^20 images are given as good and as defective, the first is "):
        threshold(run, good=good, ng=good)


def test_fresh_images_of_the_line_set_it_and_the_earlier_one_is_kept(run, fresh):
    good, bad = fresh
    artifact = run / "detector.onnx"
    first = read_manifest(artifact)["threshold"]
    result = threshold(run, good=good, ng=bad, false_reject_rate=0.05, write=True)
    written = read_manifest(artifact)
    assert written["threshold"]["value"] == result.threshold["value"] != first["value"]
    assert written["threshold"]["good_images"] == 20
    assert "20 fresh good images" in written["threshold"]["origin"]
    assert "; fresh images: fresh; set on 20" in written["threshold"]["origin"]
    assert written["good_scores"]["count"] == 20
    earlier = {name: value for name, value in first.items() if name != "history"}
    assert written["threshold"]["history"] == [earlier]
    threshold(run, write=True)
    assert [entry["value"] for entry in read_manifest(artifact)["threshold"]["history"]] == [
        result.threshold["value"],
        first["value"],
    ]


def test_the_table_counts_what_each_limit_rejects_and_misses(run, fresh):
    good, bad = fresh
    result = threshold(run, good=good, ng=bad)
    scores = engine_scores(run / "detector.onnx", sorted(good.iterdir()), "", lambda *_: None)
    of_bad = engine_scores(run / "detector.onnx", sorted(bad.iterdir()), "", lambda *_: None)
    for row in [*result.limits, result.before]:
        assert row["rejected"] == sum(score > row["value"] for score in scores)
        assert row["missed"] == sum(score <= row["value"] for score in of_bad)
        assert row["missed_bound"] >= 0.63  # Three images cannot promise more.
    assert [row["false_reject_rate"] for row in result.limits] == [0, 0.01, 0.02, 0.05, 0.1]


@pytest.mark.parametrize("count", [0, 1])
def test_a_run_that_holds_out_too_few_images_is_told_before_anything_is_scored(run, count):
    path = run / RECIPE_FILE
    content = read_json(path)
    path.write_text(json.dumps(content | {"held_out": content["held_out"][:count]}))
    manifest = read_manifest(run / "detector.onnx")
    made_from = manifest["made_from"] | {RECIPE_FILE: sha256(path)}
    write_manifest(run / "detector.onnx", manifest | {"made_from": made_from})
    scored = []
    with pytest.raises(EdgekdError, match=f"at least 2 held-out good images, got {count}: give more with --good"):
        threshold(run, progress=lambda *step: scored.append(step))
    assert not scored


def test_swapped_folders_are_pointed_out(run, fresh):
    good, bad = fresh
    assert "swapped" not in "".join(threshold(run, good=good, ng=bad).warnings)
    assert "swapped" in "".join(threshold(run, good=bad, ng=good).warnings)


def test_images_that_the_detector_was_trained_on_are_not_fresh(run):
    with pytest.raises(
        EdgekdError, match=r"was trained on 99 of the 110 images in .*good: give good images that it has"
    ):
        threshold(run, good=run.parent.parent / read_json(run / "recipe.json")["data"])


def test_good_images_among_the_defective_ones_are_refused(run, fresh, tmp_path):
    good, _ = fresh
    (tmp_path / "mixed").mkdir()
    shutil.copytree(good, tmp_path / "mixed" / "good")
    with pytest.raises(EdgekdError, match="holds good images too, in good"):
        threshold(run, good=good, ng=tmp_path / "mixed")


def test_an_artifact_alone_needs_good_images(run, fresh, tmp_path):
    good, _ = fresh
    alone = tmp_path / "alone"
    alone.mkdir()
    for path in (run / "detector.onnx", manifest_path(run / "detector.onnx")):
        shutil.copy(path, alone)
    with pytest.raises(EdgekdError, match="lies in no run folder, so its good images are not known: give --good"):
        threshold(alone / "detector.onnx")
    result = threshold(alone / "detector.onnx", good=good)
    assert (result.good, result.trained) == (20, 0)


def test_a_threshold_of_an_earlier_version_is_compared_and_kept(run, fresh):
    path = manifest_path(run / "detector.onnx")
    old = {"value": 2.0, "false_reject_rate": 0.01, "good_images": 11, "origin": "the highest score of 11"}
    manifest = read_json(path) | {"threshold": old}
    manifest.pop("good_scores")
    path.write_text(json.dumps(manifest))
    result = threshold(run, good=fresh[0], write=True)
    assert (result.before["value"], result.before["bound"]) == (2.0, None)
    assert read_manifest(run / "detector.onnx")["threshold"]["history"] == [old]
