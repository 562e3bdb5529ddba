"""Every loss of PFADSeg is finite at its least batch, whose pooled batch norms see two values a channel."""

import math

import pytest
import torch

from edgekd.models.pfadseg import SEGMENTATION_ITERATIONS, STUDENT_ITERATIONS, PFADSeg
from edgekd.recipe import TrainingRecipe
from edgekd.training.run import start_run, train
from edgekd.training.teachers.loading import load_teacher

from ..conftest import copy_images

TEACHER = "efficientnet_lite0"


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_200_iterations_of_the_student_and_those_of_the_segmentation_network_keep_a_finite_loss(
    seed, elpv_images, tmp_path
):
    copy_images(elpv_images[:64], tmp_path / "good", 64)
    teacher = load_teacher(TEACHER)
    recipe = TrainingRecipe(
        "pfadseg",
        str(tmp_path / "good"),
        {teacher.name: teacher.sha256},
        iterations=200 * (STUDENT_ITERATIONS + SEGMENTATION_ITERATIONS) // STUDENT_ITERATIONS,
        learning_rate=0.5,
        size=64,
        batch=PFADSeg.min_batch,
        seed=seed,
        settings={"backbone": TEACHER},
    )
    start_run(tmp_path / "run", recipe, [teacher])
    losses = {}
    train(tmp_path / "run", torch.device("cpu"), lambda iteration, loss: losses.update({iteration: loss}))
    assert set(losses) >= {25, 200, 225, 450}
    assert all(map(math.isfinite, losses.values()))
    assert losses[200] < losses[25]
