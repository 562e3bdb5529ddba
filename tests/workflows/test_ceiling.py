"""A trained student beside its teacher, on synthetic defects."""

import pytest

from edgekd.data.good_images import read_frames
from edgekd.progress import silent
from edgekd.recipe import held_out_images, read_recipe
from edgekd.workflows.ceiling import DEFECTS, BelowCeiling, compare_with_ceiling
from edgekd.workflows.train import train

LITE0 = "efficientnet_lite0"


def test_a_student_of_moments_is_below_its_teacher_on_defects_in_held_out_images(forty_good, tmp_path):
    run = tmp_path / "run"
    train("mthf", data=forty_good, run=run, iterations=2, batch=4, size=64, teacher=LITE0)
    found = compare_with_ceiling(run, read_recipe(run), silent)
    assert found.good == len(read_frames(held_out_images(read_recipe(run)), 64)) == 10
    assert found.defective == DEFECTS
    assert 0 <= found.student < found.ceiling <= 1
    assert found == compare_with_ceiling(run, read_recipe(run), silent)


def test_too_few_held_out_images_compare_nothing(good_folder, tmp_path):
    run = tmp_path / "run"
    train("hkt", data=good_folder, run=run, iterations=1, size=64, teacher=LITE0)
    assert compare_with_ceiling(run, read_recipe(run), silent) is None


@pytest.mark.parametrize(
    ("student", "advice"), [(0.81, "a longer training may find more"), (0.89, "another teacher may find more")]
)
def test_the_distance_decides_about_the_advice(student, advice):
    found = BelowCeiling(student, 0.9, 30, 140)
    assert str(found) == (
        f"140 synthetic defects against 30 held-out images: image AUROC {student:.3f}, "
        f"nearest neighbours in the teacher's features 0.900; {advice}"
    )
