"""Choosing a calibration set for a run, as a function."""

import json

import pytest

from edgekd.artifact import sha256
from edgekd.errors import EdgekdError
from edgekd.quantization.calibration_set import read_calibration_set, write_calibration_set
from edgekd.workflows.calibrate import calibrate

from ..conftest import copy_images


def test_a_set_holds_training_images_of_the_run_alone(trained_run, tmp_path):
    steps = {}
    chosen = calibrate(
        trained_run,
        images=9,
        progress=lambda step, done, total=None, loss=None: steps.update({step: (done, total)}),
    )
    recipe = json.loads((trained_run / "recipe.json").read_text())
    assert (len(chosen.images), chosen.choice, chosen.chosen_from) == (9, "k-centre", 99)
    assert not set(recipe["held_out"]) & set(chosen.images)
    assert all(sha256(path) == digest for path, digest in zip(chosen.paths(), chosen.images.values(), strict=True))
    assert steps == {"comparing 99 images by the teacher's features": (1, 1)}
    write_calibration_set(tmp_path / "set.json", chosen)
    assert read_calibration_set(tmp_path / "set.json") == chosen
    assert calibrate(trained_run, source=tmp_path / "set.json") == chosen


def test_a_random_set_follows_its_seed(trained_run):
    sets = [calibrate(trained_run, choice="random", images=8, seed=seed) for seed in (0, 0, 1)]
    assert sets[0] == sets[1]
    assert sets[0].images != sets[2].images


def test_a_folder_is_looked_through_for_defects(trained_run, elpv_images, tmp_path):
    copy_images(elpv_images[150:162], tmp_path / "more", 64)
    steps = {}
    chosen = calibrate(
        trained_run,
        source=tmp_path / "more",
        images=8,
        progress=lambda step, done, total=None, loss=None: steps.update({step: (done, total)}),
    )
    assert chosen.chosen_from == 12
    assert chosen.root == str((tmp_path / "more").resolve())
    assert steps["looking for defects in 12 images"] == (12, 12)
    assert steps["scoring known good images"] == (11, 11)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"images": 7}, "--calibration-images must be at least 8, better 32; got 7"),
        ({"choice": "nearest"}, "unknown calibration choice 'nearest'"),
    ],
)
def test_a_wrong_option_is_refused(options, complaint, trained_run):
    with pytest.raises(EdgekdError, match=complaint):
        calibrate(trained_run, **options)


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(EdgekdError, match=r"recipe\.json"):
        calibrate(tmp_path)
