"""How a training differs from its paper's, of artifacts that record it and of those that do not."""

import pytest

from edgekd.paper_setups import PAPER_SETUPS
from edgekd.papers.training import training_differences

RECORD = {
    "batch": 16,
    "learning_rate": 5e-3,
    "weight_decay": 0.0,
    "schedule": "constant",
    "warm_up": 0.0,
    "optimizer": "adam",
    "initialisation": "random",
    "augment": [],
    "arithmetic": "float32",
    "quantization_aware_from": None,
    "settings": {},
    "synthetic_anomalies": True,
    "textures": 5_640,
    "trained_images": 213,
    "held_out_images": 0,
    "own_validation": False,
}
DSKD = {"trained": True, "iterations": 210 * 14, "teachers": [{"name": "wide_resnet50_2"}], "training": RECORD}


def differences(manifest, system="dskd"):
    return list(training_differences(manifest, PAPER_SETUPS[system]))


def test_the_papers_own_training_differs_in_nothing():
    assert differences(DSKD) == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"learning_rate": 1e-3}, "learning rate: 0.001; the paper's 0.005"),
        ({"weight_decay": 1e-5}, "weight decay: 1e-05; the paper's 0"),
        ({"schedule": "cosine"}, "schedule: cosine; the paper's constant"),
        ({"warm_up": 0.05}, "schedule: constant after a warm-up of 5%; the paper's constant"),
        ({"schedule": "cosine", "warm_up": 0.05}, "schedule: cosine after a warm-up of 5%; the paper's constant"),
        ({"optimizer": "adamw"}, "optimizer: adamw; the paper's adam"),
        ({"initialisation": "images"}, "initial weights: scaled on good images; the paper's drawn at random"),
        ({"augment": ["flip_vertical", "turn"]}, "augmentation: flip_vertical, turn; the paper's none"),
        ({"arithmetic": "bfloat16"}, "arithmetic: bfloat16; the paper's float32"),
        ({"quantization_aware_from": 0}, "arithmetic: as INT8 from iteration 0 on; the paper's float32"),
        ({"settings": {"flatten": {"value": True, "paper": False}}}, "setting flatten: on; the paper's off"),
        (
            {"settings": {"fusion": {"value": "manual", "paper": "learned"}}},
            "setting fusion: manual; the paper's learned",
        ),
        ({"textures": 0}, "textures: noise; the paper's the 5,640 of the Describable Textures Dataset"),
        ({"textures": 30}, "textures: 30 images; the paper's the 5,640 of the Describable Textures Dataset"),
        ({"textures": None}, "textures: not recorded: the run is of an earlier version"),
        ({"trained_images": 209, "held_out_images": 4}, "good images held out: 4 of 213; the paper's none"),
    ],
)
def test_each_difference_is_named_and_nothing_else(changes, difference):
    assert differences(DSKD | {"training": RECORD | changes}) == [difference]


def test_iterations_are_compared_as_epochs_where_the_paper_counts_those():
    assert differences(DSKD | {"iterations": 280}) == ["iterations: 280, 20 epochs; the paper's 210 epochs"]
    half = DSKD | {"iterations": 210 * 27, "training": RECORD | {"batch": 8}}
    assert differences(half) == ["batch: 8; the paper's 16"]


def test_without_synthetic_anomalies_textures_do_not_count():
    settings = {"fusion": {"value": "manual", "paper": "learned"}}
    changes = {"settings": settings, "synthetic_anomalies": False, "textures": 0}
    assert differences(DSKD | {"training": RECORD | changes}) == ["setting fusion: manual; the paper's learned"]


@pytest.mark.parametrize("system", PAPER_SETUPS)
def test_a_datasets_own_validation_images_are_everybodys_to_hold_out(system):
    record = RECORD | {"held_out_images": 60, "own_validation": True}
    assert not any("held out" in line for line in differences(DSKD | {"training": record}, system))


def test_an_artifact_of_before_it_was_recorded_says_so():
    older = {name: value for name, value in DSKD.items() if name != "training"}
    (line,) = differences(older)
    assert line.startswith(
        "batch, learning rate, schedule, arithmetic, textures, settings, held-out share: not recorded"
    )


def test_a_run_of_before_its_images_were_counted_says_so():
    lines = differences(DSKD | {"training": RECORD | {"trained_images": None}})
    assert lines == [
        f"{what}: not recorded: the run is of an earlier version" for what in ("epochs", "good images held out")
    ]


def test_an_untrained_detector_is_no_training():
    assert differences({"trained": False}) == ["training: none, so the figures mean nothing"]
