"""What INT8 is calibrated on, what its drift is measured on, and whose verdicts it has to keep."""

import numpy as np
import pytest

import edgekd.workflows.lowering_images as lowering_images
from edgekd.data.good_images import read_frames
from edgekd.models.registry import find_system
from edgekd.quantization.lowering import few_of
from edgekd.recipe import TrainingRecipe, held_out_images, read_recipe
from edgekd.workflows.lowering_images import calibrated_on, judged_on, verdicts_on


def detector_of(system):
    return find_system(system).detector(64, {"backbone": "efficientnet_lite0"} if system == "dskd" else {})


def changed(shown, frames):
    """Whether each frame is not as it was."""
    return [not np.array_equal(*pair) for pair in zip(shown, frames, strict=True)]


@pytest.fixture(scope="module")
def frames(elpv_images):
    return read_frames(elpv_images[:16], 64)


@pytest.mark.parametrize(("system", "with_anomalies"), [("hkt", False), ("dskd", True)])
def test_drift_is_judged_on_what_a_system_learns_from(system, with_anomalies, frames):
    before = frames.copy()
    judges, what = judged_on(detector_of(system), frames)
    anomalies = changed(judges, few_of(frames))
    assert len(judges) == 8
    assert not any(anomalies[1::2])
    assert any(anomalies[::2]) == with_anomalies  # An anomaly's mask may be empty.
    assert ("synthetic anomaly" in what) == with_anomalies
    assert np.array_equal(frames, before)


@pytest.mark.parametrize(("system", "with_anomalies"), [("hkt", False), ("dskd", True)])
def test_scales_cover_what_a_system_learns_from(system, with_anomalies, frames):
    shown = calibrated_on(detector_of(system), frames)
    anomalies = changed(shown, frames)
    assert not any(anomalies[1::2])
    assert any(anomalies[::2]) == with_anomalies


def test_drift_is_judged_on_other_anomalies_than_scales_are_taken_from(frames):
    detector = detector_of("dskd")
    few = few_of(frames)
    judges, _ = judged_on(detector, frames)
    alike = [not each for each in changed(calibrated_on(detector, few), judges)]
    assert not all(alike)


def test_verdicts_are_compared_on_held_out_images_and_defects_in_them(trained_run):
    recipe = read_recipe(trained_run)
    judged = verdicts_on(recipe, 0.01)
    held_out = read_frames(held_out_images(recipe), recipe.preprocessing)
    assert len(judged.held_out) == min(40, len(held_out))
    assert all((frame == held_out).all((1, 2, 3)).any() for frame in judged.held_out)
    assert not any((frame == held_out).all((1, 2, 3)).any() for frame in [*judged.trained, *judged.defective])
    assert len(judged.defective) == lowering_images.DEFECTS
    assert (judged.preprocessing, judged.false_reject_rate) == (recipe.preprocessing, 0.01)


def test_an_untrained_system_has_no_verdicts_to_keep():
    assert verdicts_on(TrainingRecipe("hkt", "", {}, iterations=0, size=(64, 64)), 0.01) is None
