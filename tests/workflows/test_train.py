import logging
import os
import shlex
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from edgekd.data.good_images import read_frames
from edgekd.errors import EdgekdError
from edgekd.models.mthf import PAPER_LIKE_GROUPS
from edgekd.models.registry import find_system
from edgekd.recipe import TrainingRecipe, read_recipe, write_recipe
from edgekd.training import loop
from edgekd.training.run import training_images
from edgekd.workflows.train import (
    TrainOptions,
    check_training,
    learns_from_anomalies,
    recipe_for,
    require_same_recipe,
    train,
)

LITE0 = "efficientnet_lite0"


@pytest.fixture
def options(good_folder, tiny_teacher, tmp_path):
    return TrainOptions("hkt", data=good_folder, run=tmp_path / "a run", iterations=3, size=64, teacher=tiny_teacher)


def same_as(options, **changes):
    return vars(options) | changes


def test_what_is_left_out_is_as_the_preset_has_it(good_folder, tmp_path):
    options = TrainOptions("dskd", data=good_folder, run=tmp_path / "run", teacher=LITE0, textures=good_folder)
    recipe, teachers = recipe_for(options)
    assert [teacher.name for teacher in teachers] == [LITE0]
    assert recipe.teachers == {LITE0: teachers[0].sha256}
    timed = find_system("dskd").timed
    assert recipe.settings == {"backbone": LITE0, **find_system("dskd").timed_settings}
    assert (recipe.preset, recipe.minutes, recipe.iterations, recipe.size) == ("timed", 10.0, 0, (timed.sizes[0],) * 2)
    assert (recipe.batch, recipe.learning_rate, recipe.schedule) == (timed.batch, timed.learning_rate, timed.schedule)
    assert (recipe.optimizer, recipe.warm_up, recipe.initialisation) == (
        timed.optimizer,
        timed.warm_up,
        timed.initialisation,
    )
    paper, _ = recipe_for(replace(options, preset="paper"))
    assert (paper.preset, paper.minutes, paper.iterations, paper.size) == (
        "paper",
        None,
        210 * 2,
        (256, 256),
    )  # 24 images.
    assert paper.settings == {"backbone": LITE0}
    assert (paper.batch, paper.learning_rate, paper.schedule) == (16, 5e-3, "constant")
    assert (paper.optimizer, paper.warm_up, paper.initialisation) == ("adam", 0.0, "random")
    assert recipe.seed == 0
    assert recipe.quantization_aware_from is None
    assert recipe.data == str(good_folder)


def test_what_is_given_is_taken(good_folder, elpv_images, tmp_path):
    options = TrainOptions(
        "mthf",
        data=str(good_folder),
        run=tmp_path / "run",
        iterations=5,
        size=64,
        batch=2,
        learning_rate=0.01,
        schedule="step",
        seed=7,
        teacher=[LITE0, "pdn_small"],
        settings={"fusion": False},
        preset="paper",
    )
    recipe, teachers = recipe_for(options)
    assert recipe == TrainingRecipe(
        "mthf",
        str(good_folder),
        {teacher.name: teacher.sha256 for teacher in teachers},
        iterations=5,
        size=64,
        batch=2,
        learning_rate=0.01,
        weight_decay=0.0,
        schedule="step",
        seed=7,
        mixed_precision=recipe.mixed_precision,
        settings={"fusion": False, "groups": [LITE0, "pdn_small"]},
        preset="paper",
        optimizer="adam",
        held_out_share=None,
    )


def test_paper_like_names_the_three_backbones_of_mthf(good_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "empty"))
    with pytest.raises(EdgekdError, match=f"the weights of {PAPER_LIKE_GROUPS[0]} are not here"):
        recipe_for(TrainOptions("mthf", data=good_folder, run=tmp_path / "run", teacher="paper-like"))


@pytest.mark.parametrize("teacher", [[], ["pdn_small", LITE0], "paper-like"])
def test_a_system_with_one_teacher_takes_one(good_folder, tmp_path, teacher):
    with pytest.raises(EdgekdError, match=r"hkt takes one teacher, .*, got "):
        recipe_for(TrainOptions("hkt", data=good_folder, run=tmp_path / "run", teacher=teacher))


def test_checking_a_training_refuses_what_training_would_and_makes_nothing(options, tmp_path):
    check_training(options)
    for changes, complaint in (
        ({"size": 130}, "hkt does not take images of 130 pixels a side: use 128 or 132"),
        ({"size": (130, 66)}, r"of 130 x 66 pixels \(height x width\): use 128x64 or 128x68 or 132x64 or 132x68"),
        ({"size": "64x96", "augment": ["symmetries"]}, "--augment symmetries turns images, and 64x96 is not a square"),
        ({"size": (64, 96), "augment": ["flip_vertical", "turn"]}, "--augment turn turns images"),
        ({"size": "64*96"}, r"or HEIGHTxWIDTH, such as 128x320, got '64\*96'"),
        ({"data": tmp_path / "gone"}, "no such folder"),
        ({"data": None}, "--data is missing"),
        ({"textures": tmp_path}, "--textures is for synthetic anomalies"),
        ({"settings": {"cbam": "off"}}, "setting cbam of hkt must be on or off"),
        ({"system": "hkt_plus"}, "the teacher of this student must be pdn_medium or a backbone, got pdn_small"),
    ):
        with pytest.raises(EdgekdError, match=complaint):
            check_training(replace(options, **changes))
    assert not (tmp_path / "a run").exists()


def test_options_that_contradict_a_run_are_refused_and_those_left_out_are_its_own(options, tmp_path):
    require_same_recipe(options)  # There is no run yet.
    recipe, _ = recipe_for(options)
    write_recipe(tmp_path / "a run", recipe)
    require_same_recipe(options)
    require_same_recipe(TrainOptions("hkt", run=options.run))
    require_same_recipe(replace(options, settings={"cbam": True, "tap_weight": 0.5}))
    for changes, complaint in (
        ({"iterations": 4}, "with --iterations 3, not 4: leave it out, or use another folder"),
        ({"size": 128}, "with --size 64, not 128"),
        ({"size": "64x96"}, "with --size 64, not 64x96"),
        ({"bit_depth": 12}, "with --bit-depth None, not 12"),
        ({"learning_rate": 0.5}, "with --learning-rate 0.003, not 0.5"),
        ({"schedule": "constant"}, "with --schedule step, not constant"),
        ({"preset": "paper"}, "with --preset timed, not paper"),
        ({"seed": 3}, "with --seed 0, not 3"),
        ({"data": tmp_path}, f"with --data {options.data}, not {tmp_path}"),
        ({"settings": {"cbam": False}}, "with --set cbam=True, not cbam=False"),
        ({"teacher": LITE0}, f"with --teacher {options.teacher}, not {LITE0}"),
        ({"quantization_aware": True}, "without --quantization-aware: leave it out"),
    ):
        with pytest.raises(EdgekdError) as caught:
            require_same_recipe(replace(options, **changes))
        assert f"{options.run} was trained {complaint}" in str(caught.value)


def test_some_systems_learn_from_synthetic_anomalies_and_settings_decide_too():
    assert not learns_from_anomalies("hkt", {})
    assert learns_from_anomalies("dskd", {"backbone": LITE0})
    assert not learns_from_anomalies("dskd", {"backbone": LITE0, "fusion": "manual"})


def test_an_interruption_passes_through_and_logs_the_command_that_resumes(options, monkeypatch, caplog):
    monkeypatch.setattr(loop, "CHECK_EVERY", 1)
    caplog.set_level(logging.INFO, "edgekd")
    seen = []

    def interrupt_at_2(step, done, total=None, loss=None):
        seen.append((step, done, total))
        assert loss > 0
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(**same_as(options, progress=interrupt_at_2))
    assert seen == [("training hkt", 1, 3), ("training hkt", 2, 3)]
    resume = caplog.messages[-1].removeprefix("saved; resume with: ")
    assert shlex.split(resume) == ["edgekd", "train", "hkt", "--run", os.fspath(options.run), "--resume"]
    result = train("hkt", run=str(options.run), resume=True)
    assert (result.iterations, result.images, result.held_out, result.device) == (3, 24, 2, "cpu")
    assert (options.run / "student.safetensors").exists()


def test_a_run_resumes_for_longer_and_as_int8_and_not_as_another_system(options):
    first = train(**same_as(options))
    assert (first.iterations, first.quantization_aware) == (3, False)
    with pytest.raises(EdgekdError, match="is a run of hkt, not of hkt_plus"):
        train("hkt_plus", run=options.run, resume=True)
    with pytest.raises(EdgekdError, match="3 iterations in float: --iterations counts those too and must be larger"):
        train("hkt", run=options.run, resume=True, quantization_aware=True)
    same = {"data": options.data, "size": 64, "teacher": options.teacher}  # What was given at first may be given again.
    longer = train("hkt", run=options.run, resume=True, iterations=5, quantization_aware=True, **same)
    assert (longer.iterations, longer.quantization_aware) == (5, True)
    assert read_recipe(options.run).quantization_aware_from == 3
    assert longer.teachers == first.teachers == (str(options.teacher),)


def test_a_time_decides_about_size_and_iterations_and_the_student_is_compared(forty_good, tmp_path):
    result = train("mthf", data=forty_good, run=tmp_path / "run", minutes=0.1, size=64, teacher=LITE0)
    recipe = read_recipe(tmp_path / "run")
    assert (recipe.minutes, recipe.size, recipe.preset) == (0.1, (64, 64), "timed")
    assert result.iterations == recipe.iterations >= 20
    assert result.below_ceiling.good == 10
    assert result.to_dict()["below_ceiling"]["ceiling"] == result.below_ceiling.ceiling


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"minutes": 5.0}, "--minutes and --iterations exclude each other: give one of them"),
        ({"minutes": 5.0, "iterations": None, "preset": "paper"}, "leave out --minutes, or the preset"),
        ({"bit_depth": 8}, "--bit-depth must be from 9 to 16, got 8"),
        ({"augment": ["turm"]}, "unknown way to augment images 'turm': did you mean turn"),
    ],
)
def test_what_excludes_each_other_or_is_unknown_is_refused_and_nothing_is_made(options, changes, complaint):
    with pytest.raises(EdgekdError, match=complaint):
        train(**same_as(options, **changes))
    assert not options.run.exists()


def test_a_run_that_goes_on_takes_no_time(options):
    train(**vars(options))
    with pytest.raises(EdgekdError, match="leave out --minutes, or give --iterations"):
        train("hkt", run=options.run, resume=True, minutes=5.0)


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        ({"seed": 5}, "was trained with --seed 0, not 5: leave it out, or use another folder"),
        ({"size": 128}, "was trained with --size 64, not 128"),
        ({"learning_rate": 0.5}, "was trained with --learning-rate 0.01, not 0.5"),
        ({"tiles": "2x2"}, "was trained with --tiles 1x1, not 2x2"),
        ({"augment": ["turn"]}, "was trained with --augment shift, not turn"),
        ({"augment": []}, "was trained with --augment shift, not none"),
        ({"settings": {"cbam": False}}, "was trained with --set cbam=True, not cbam=False"),
    ],
)
def test_a_run_that_goes_on_refuses_options_that_contradict_it(tmp_path, given, complaint):
    recipe = TrainingRecipe("hkt", str(tmp_path / "images"), {}, 10, size=(64, 64), learning_rate=0.01)
    (tmp_path / "run").mkdir()
    write_recipe(tmp_path / "run", replace(recipe, augment=("shift",)))
    with pytest.raises(EdgekdError, match=complaint):
        train("hkt", run=tmp_path / "run", resume=True, iterations=20, **given)
    with pytest.raises(EdgekdError, match=r"was trained with --data .*images, not .*others"):
        train("hkt", run=tmp_path / "run", resume=True, iterations=20, data=tmp_path / "others")


def test_within_a_time_images_are_shifted_where_the_system_does_so_unless_other_ways_are_named(options, tmp_path):
    others = replace(options, system="mthf", teacher=None, settings={})
    for changes, expected in (({}, ("shift",)), ({"augment": []}, ()), ({"augment": ["turn", "turn"]}, ("turn",))):
        assert recipe_for(replace(options, **changes))[0].augment == expected
    assert recipe_for(replace(others, teacher=[LITE0]))[0].augment == ()


def test_symmetries_are_part_of_the_recipe_and_change_the_weights(options, tmp_path):
    train(**vars(options))
    train(**same_as(options, run=tmp_path / "turned", augment=["symmetries", "symmetries"]))
    assert read_recipe(tmp_path / "turned").augment == ("symmetries",)
    weights = [(run / "student.safetensors").read_bytes() for run in (options.run, tmp_path / "turned")]
    assert weights[0] != weights[1]


def test_copies_are_counted_and_none_of_a_held_out_image_is_trained_on(options, caplog):
    caplog.set_level("INFO", "edgekd")
    good = sorted(options.data.iterdir())
    for path in good:
        for number in range(2):
            shutil.copy(path, path.with_name(f"{path.stem}_copy{number}.png"))
    result = train(**vars(options))
    recipe = read_recipe(options.run)
    assert (result.images, result.copies, result.held_out, len(recipe.left_out)) == (72, 48, 2, 4)
    found = "found 72 good images, 48 of them copies of others: 66 to train on, 2 held out"
    assert f"{found}, 4 left out as copies of those held out" in caplog.messages
    held_out = {name[:3] for name in recipe.held_out}
    assert len(held_out) == 2
    assert {path.name[:3] for path in training_images(recipe)} == {path.stem for path in good} - held_out


def test_the_bit_depth_is_kept_and_values_of_few_bits_are_refused_without_it(options):
    for path in options.data.iterdir():
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE).astype(np.uint16) * 16)
    with pytest.raises(EdgekdError, match=r"000\.png has 16 bits .* such as --bit-depth 12"):
        train(**vars(options))
    assert not options.run.exists()
    train(**same_as(options, bit_depth=12))
    recipe = read_recipe(options.run)
    assert recipe.bit_depth == recipe.preprocessing.bit_depth == 12
    assert read_frames(training_images(recipe)[:1], recipe.preprocessing).max() > 100  # Not nearly black.
