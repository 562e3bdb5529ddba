"""Size and iterations that fit into a time."""

from dataclasses import replace

import pytest
import torch

from edgekd.data.good_images import training_images
from edgekd.models.detector import TrainingDefaults
from edgekd.recipe import TrainingRecipe
from edgekd.training import budget
from edgekd.training.budget import FEWEST_ITERATIONS, Cost, fit_to_minutes, measured_cost
from edgekd.training.run import checked_start
from edgekd.training.teachers.loading import load_teacher

CPU = torch.device("cpu")
LITE0 = "efficientnet_lite0"

SMALL, WIDE = (64, 64), (64, 256)


@pytest.fixture
def teachers():
    return [load_teacher(LITE0)]


@pytest.fixture
def recipe(forty_good, teachers):
    settings = {"groups": [LITE0]}
    hashes = {entry.name: entry.sha256 for entry in teachers}
    new = TrainingRecipe("mthf", str(forty_good), hashes, 0, size=64, batch=2, settings=settings, minutes=1.0)
    return checked_start(new, teachers)[0]


def costs_of(monkeypatch, seconds):
    """Lets an iteration at a size take so many seconds; which sizes were measured."""
    measured = []

    def cost(recipe, teachers, device, compared):
        measured.append(recipe.size)
        return Cost(fixed=2.0, iteration=seconds[recipe.size])

    monkeypatch.setattr(budget, "measured_cost", cost)
    return measured


def test_iterations_fill_the_time_that_reading_and_the_teacher_leave():
    cost = Cost(fixed=10.0, iteration=0.5)
    assert cost.iterations(60.0) == int((60 * budget.SPARE - 10) / 0.5)
    assert cost.seconds(cost.iterations(60.0)) <= 60
    assert cost.iterations(5.0) == 0


@pytest.mark.parametrize(
    ("small", "wide", "size", "measured"),
    [
        (0.05, 0.2, WIDE, [SMALL, WIDE]),  # 281 iterations fit at 64 x 256 pixels.
        (0.08, 0.9, SMALL, [SMALL, WIDE]),  # 62 do.
        (0.2, 0.8, SMALL, [SMALL]),  # 281 fit at 64 pixels: a fourth of them is not worth the measurement.
    ],
)
def test_the_largest_size_is_taken_at_which_enough_iterations_fit(
    recipe, teachers, monkeypatch, small, wide, size, measured
):
    seen = costs_of(monkeypatch, {SMALL: small, WIDE: wide})
    fitted = fit_to_minutes(recipe, teachers, TrainingDefaults(enough_iterations=100), CPU, (SMALL, WIDE))
    assert fitted.size == size
    assert seen == measured
    seconds = {SMALL: small, WIDE: wide}[size]
    assert fitted.iterations == pytest.approx((60 * budget.SPARE - 2) / seconds, rel=0.02)
    assert replace(fitted, size=SMALL, iterations=0) == recipe


def test_a_time_that_is_too_short_trains_a_little_and_says_for_how_long(recipe, teachers, monkeypatch, caplog):
    costs_of(monkeypatch, {SMALL: 100.0})
    fitted = fit_to_minutes(recipe, teachers, TrainingDefaults(), CPU, (SMALL,))
    assert fitted.iterations == FEWEST_ITERATIONS
    assert "the time is too short to learn anything: it will take about 33.4 min" in caplog.text


@pytest.mark.parametrize("system", ["mthf", "dskd"])
def test_real_steps_are_timed_of_every_stage(recipe, teachers, system):
    settings = {"groups": [LITE0]} if system == "mthf" else {"backbone": LITE0}
    cost = measured_cost(replace(recipe, system=system, settings=settings), teachers, CPU)
    assert 0.001 < cost.iteration < 10
    assert cost.fixed > 30 * 0.001  # 36 images are read and seen by the teacher.


def test_standardised_places_are_part_of_the_time(recipe, teachers, monkeypatch):
    monkeypatch.setattr(budget, "PLACED_IMAGES", 10**6)  # Of the 30 images that are trained on.
    monkeypatch.setattr(budget, "_elapsed", lambda start, device: 1.0)
    costs = [
        measured_cost(replace(recipe, system="mthf", settings={"groups": [LITE0], "standardise": on}), teachers, CPU)
        for on in (False, True)
    ]
    assert costs[1].fixed - costs[0].fixed == pytest.approx(len(training_images(recipe)), rel=0.05)
