"""Making a recipe: what a detector answers to its references is what the self-test expects."""

import cv2
import numpy as np
import pytest

from edgekd.data.images import read_image
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.runner import Inspector
from edgekd.station.recipe_making import make_recipe
from edgekd.station.recipe_release import release
from edgekd.station.recipe_store import find_job, read_recipe

from ..engines.hand_made import graph, save

pytest.importorskip("tomlkit")
THRESHOLD, MEDIAN = 120.0, 0.0  # The median is what `save` writes.


@pytest.fixture
def detector(tmp_path):
    """A detector whose score is an image's brightest pixel."""
    return save(graph(), tmp_path, THRESHOLD)


def images_of(levels, folder, suffix=".png"):
    folder.mkdir()
    for number, level in enumerate(levels):
        cv2.imwrite(str(folder / f"{number:02}{suffix}"), np.full((16, 16, 3), level, np.uint8))
    return folder


def made(detector, tmp_path, **options):
    return make_recipe(detector, tmp_path / "recipes", "bolt", 3, **options)


def test_references_are_spread_over_clear_verdicts_and_hold_the_measured_score(detector, tmp_path):
    good = images_of([10, 20, 30, 40, 50, 115, 200], tmp_path / "good")
    ng = images_of([125, 150, 180, 250, 10], tmp_path / "ng")
    folder = made(detector, tmp_path, good=good, ng=ng, cameras=("top", "side"), product="M4", deadline_ms=250)
    recipe = read_recipe(folder)
    assert {camera.trigger for camera in recipe.cameras.values()} == {"software"}
    assert (recipe.status, recipe.product, recipe.deadline_ms, sorted(recipe.cameras)) == (
        "draft",
        "M4",
        250,
        ["side", "top"],
    )
    found = recipe.self_tests.references
    # 115 and 125 are too close to the threshold of 120: rounding could change their verdict.
    assert [(each.verdict, round((each.lowest + each.highest) / 2)) for each in found] == [
        ("OK", 10), ("OK", 30), ("OK", 50), ("NG", 150), ("NG", 180), ("NG", 250)
    ]  # fmt: skip
    half = [(each.highest - each.lowest) / 2 for each in found]
    assert half[0] == pytest.approx(0.05 * (THRESHOLD - MEDIAN))
    assert half[-1] == pytest.approx(0.05 * (250 - MEDIAN))
    with Inspector(folder / recipe.detector.artifact) as inspector:
        for each in found:
            result = inspector(folder / each.image)
            assert result.verdict.value == each.verdict
            assert each.lowest < result.score < each.highest


def test_references_are_kept_without_loss(detector, tmp_path):
    good = images_of([30], tmp_path / "good", ".jpg")
    folder = made(detector, tmp_path, good=good)
    (reference,) = read_recipe(folder).self_tests.references
    assert reference.image.endswith(".png")
    assert np.array_equal(read_image(folder / reference.image), read_image(good / "00.jpg"))
    deep = tmp_path / "deep"
    deep.mkdir()
    cv2.imwrite(str(deep / "a.tiff"), np.full((16, 16), 30 << 8, np.uint16))
    folder = made(detector, tmp_path, good=deep)
    assert (folder.name, read_recipe(folder).revision) == ("2", 2)
    assert (folder / "references" / "ok_1.tiff").read_bytes() == (deep / "a.tiff").read_bytes()


def test_a_run_brings_the_images_that_it_held_out(exported, tmp_path):
    folder = make_recipe(exported, tmp_path, "cell", 1)
    assert len(read_recipe(folder).self_tests.references) == 3
    release(folder, "Ann", "the first")
    assert find_job(tmp_path, 1) == folder


def test_what_cannot_become_a_recipe_is_refused_and_nothing_is_left(detector, tmp_path):
    bright = images_of([200, 119], tmp_path / "bright")
    with pytest.raises(EdgekdError, match=r"of 2 images around .*bright the detector calls none clearly OK"):
        made(detector, tmp_path, good=bright)
    with pytest.raises(EdgekdError, match=r"good images of .* are not here: name a folder"):
        made(detector, tmp_path)
    good = images_of([30], tmp_path / "good")
    with pytest.raises(EdgekdError, match="'a/b' cannot name a recipe"):
        make_recipe(detector, tmp_path / "recipes", "a/b", 3, good=good)
    with pytest.raises(ArtifactError, match="job must be at most 999"):
        make_recipe(detector, tmp_path / "recipes", "bolt", 1000, good=good)
    assert not list((tmp_path / "recipes").rglob("*.*"))
