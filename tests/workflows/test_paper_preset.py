"""`--preset paper`: from its options to a training that differs from the paper's in nothing."""

import json
from dataclasses import replace
from itertools import chain

import pytest
import torch

from edgekd.artifact import read_manifest
from edgekd.errors import EdgekdError
from edgekd.models.backbones.pdn import pdn
from edgekd.models.backbones.registry import BACKBONE_NAMES, build_backbone
from edgekd.models.registry import SYSTEMS
from edgekd.paper_setups import DTD_IMAGES, PAPER_SETUPS
from edgekd.papers.training import training_differences
from edgekd.recipe import read_recipe, write_recipe
from edgekd.training.record import training_record
from edgekd.training.run import with_images
from edgekd.training.teachers.catalogue import CATALOGUE
from edgekd.training.teachers.store import import_teacher
from edgekd.workflows.train import TrainOptions, recipe_for

from ..run_command import main

LITE0 = "efficientnet_lite0"


@pytest.fixture(scope="module")
def stored_teachers(tmp_path_factory):
    """A store with every teacher of the papers; their weights are drawn, not trained."""
    folder = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("EDGEKD_TEACHERS", str(folder / "teachers"))
        for name in set(chain.from_iterable(setup.teachers for setup in PAPER_SETUPS.values())):
            network = CATALOGUE[name].network
            drawn = build_backbone(network) if network in BACKBONE_NAMES else pdn(network)
            torch.save({key: value.half() for key, value in drawn.state_dict().items()}, folder / "drawn.pth")
            import_teacher(folder / "drawn.pth", name)
    return folder / "teachers"


@pytest.fixture
def with_teachers(stored_teachers, monkeypatch):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(stored_teachers))


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """As many files as the Describable Textures Dataset has; they are counted, not read."""
    folder = tmp_path_factory.mktemp("dtd")
    for number in range(DTD_IMAGES):
        (folder / f"{number}.jpg").touch()
    return folder


@pytest.fixture
def options(forty_good, tmp_path, textures):
    """Makes the options of a training as in the paper."""

    def make(system, **more):
        taken = {"textures": textures} if PAPER_SETUPS[system].textures else {}
        return TrainOptions(system, data=forty_good, run=tmp_path / "run", preset="paper", **taken | more)

    return make


def differences(recipe):
    manifest = {
        "trained": True,
        "iterations": recipe.iterations,
        "teachers": [{"name": name} for name in recipe.teachers],
        "training": training_record(recipe),
    }
    return list(training_differences(manifest, PAPER_SETUPS[recipe.system]))


@pytest.mark.parametrize("system", SYSTEMS)
def test_a_recipe_of_the_preset_differs_from_the_paper_in_nothing_and_each_change_is_named_alone(
    system, with_teachers, options, tmp_path
):
    recipe = with_images(recipe_for(options(system))[0])
    write_recipe(tmp_path, recipe)
    assert read_recipe(tmp_path) == recipe
    assert (recipe.preset, recipe.minutes, recipe.size, recipe.mixed_precision) == ("paper", None, (256, 256), False)
    assert differences(recipe) == []
    share = {"mhkd": 0.0, "mthf": 0.2}.get(system, 0.1)
    for changes, named in (
        ({"teachers": {LITE0: ""}}, "teacher"),
        ({"iterations": recipe.iterations + 100}, "iterations"),
        ({"learning_rate": 0.25}, "learning rate"),
        ({"weight_decay": 0.25}, "weight decay"),
        ({"warm_up": 0.05}, "schedule"),
        ({"optimizer": "adamw"}, "optimizer"),
        ({"initialisation": "images"}, "initial weights"),
        ({"augment": ("turn",)}, "augmentation"),
        ({"mixed_precision": True}, "arithmetic"),
        ({"held_out_share": share}, "good images held out"),
    ):
        changed = differences(with_images(replace(recipe, **changes)))
        assert [line.partition(":")[0] for line in changed] == [named]


@pytest.mark.parametrize(
    ("system", "changes", "named"),
    [
        ("hkt", {"batch": 8}, "batch: 8; the paper's 1"),
        ("hkt", {"teacher": LITE0}, f"teacher: {LITE0}; the paper's efficientad_small"),
        ("hkt", {"settings": {"cbam": False}}, "setting cbam: off; the paper's on"),
        ("hkt_plus", {"iterations": 900}, "iterations: 900; the paper's 50,000"),
        ("mhkd", {"settings": {"middle_width": 512}}, "setting middle_width: 512; the paper's 384"),
        ("mhkd", {"schedule": "cosine"}, "schedule: cosine; the paper's step"),
        ("mthf", {"batch": 8}, "batch: 8; the paper's 16"),
        ("hkt", {"quantization_aware": True}, "arithmetic: as INT8 from iteration 0 on; the paper's float32"),
    ],
)
def test_what_is_given_beside_the_preset_is_taken_and_named(system, changes, named, with_teachers, options):
    assert differences(with_images(recipe_for(options(system, **changes))[0])) == [named]


def test_a_setting_that_is_given_as_the_paper_has_it_is_no_difference(with_teachers, options):
    recipe, _ = recipe_for(options("hkt", settings={"cbam": True, "tap_weight": 0.5}))
    assert recipe.settings == {"teacher": "pdn_small"}


def test_other_textures_than_the_papers_are_named(with_teachers, options, good_folder):
    (line,) = differences(with_images(recipe_for(options("pfadseg", textures=good_folder))[0]))
    assert line.startswith("textures: 24 images; the paper's the 5,640")


def test_a_category_with_validation_images_is_trained_on_whole(
    with_teachers, options, good_folder, forty_good, tmp_path
):
    (tmp_path / "category" / "train").mkdir(parents=True)
    (tmp_path / "category" / "validation").mkdir()
    forty_good.rename(tmp_path / "category" / "train" / "good")
    good_folder.rename(tmp_path / "category" / "validation" / "good")
    for preset, teacher in (("paper", None), ("timed", LITE0)):
        asked = replace(options("mhkd", teacher=teacher), data=tmp_path / "category", preset=preset)
        recipe = with_images(recipe_for(asked)[0])
        assert (recipe.trained_images, len(recipe.held_out)) == (40, 24)
        assert recipe.held_out[0] == "validation/good/000.png"
        assert training_record(recipe)["own_validation"]


def test_all_that_is_missing_is_named_at_once_with_the_commands_that_fetch_it(options, tmp_path, monkeypatch):
    monkeypatch.setenv("EDGEKD_TEACHERS", str(tmp_path / "empty"))
    url = "https://www.robots.ox.ac.uk/~vgg/data/dtd/download/dtd-r1.0.1.tar.gz"
    for system, complaint in (
        ("hkt", "needs efficientad_small (11 MB): run 'edgekd teachers fetch efficientad_small'"),
        (
            "mthf",
            "needs resnet18 (47 MB) and mobilenet_v2 (14 MB) and efficientnet_b0 (21 MB): run 'edgekd teachers fetch "
            "resnet18 && edgekd teachers fetch mobilenet_v2 && edgekd teachers fetch efficientnet_b0'",
        ),
    ):
        with pytest.raises(EdgekdError) as caught:
            recipe_for(options(system))
        assert str(caught.value) == f"--preset paper {complaint}"
    with pytest.raises(EdgekdError) as caught:
        recipe_for(options("dskd", textures=None))
    assert str(caught.value) == (
        "--preset paper needs wide_resnet50_2 (138 MB) and the Describable Textures Dataset (626 MB): run 'edgekd "
        f"teachers fetch wide_resnet50_2 && curl -LO {url} && tar xzf dtd-r1.0.1.tar.gz', then add "
        "--textures dtd/images, or your copy of them"
    )
    assert not (tmp_path / "run").exists()


def test_an_artifact_alone_tells_how_it_differs_from_the_paper(category, tiny_teacher, tmp_path, capsys):
    root, run = category.rename(category.with_name("transistor")), tmp_path / "run"
    words = ("--data", root, "--run", run, "--teacher", tiny_teacher, "--iterations", 2, "--size", 64)
    assert main(["train", "hkt", "--preset", "paper", *words]) == 0
    assert "0 good images are held out, 2 would set a threshold: export leaves it out" in capsys.readouterr().err
    assert main(["export", run]) == 0
    complaint = "no threshold: it takes 2 good images that were held out, and there are 0; give one to edgekd inspect"
    assert complaint in capsys.readouterr().out
    assert read_manifest(run / "detector.onnx")["training"] == training_record(read_recipe(run))
    (run / "detector.onnx").rename(tmp_path / "detector.onnx")
    (run / "detector.json").rename(tmp_path / "detector.json")
    assert main(["evaluate", "--engine", tmp_path / "detector.onnx", "--data", root, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out)["paper"]["differences"] == [
        f"teacher: {tiny_teacher}; the paper's efficientad_small",
        "iterations: 2; the paper's 50,000",
        "size: 64 pixels; the paper's 256",
        "good images to train on: 8; MVTec AD's transistor has 213",
        "good test images: 6; MVTec AD's transistor has 60",
        "defective test images: 6; MVTec AD's transistor has 40",
        "images: 96 x 96 pixels; MVTec AD's are 1024 x 1024",
    ]


def test_textures_alone_are_asked_for_where_the_system_learns_from_anomalies(with_teachers, options):
    with pytest.raises(EdgekdError, match=r"--preset paper needs the Describable Textures Dataset \(626 MB\)"):
        recipe_for(options("pfadseg", textures=None))
    recipe_for(options("dskd", textures=None, settings={"fusion": "manual"}))
