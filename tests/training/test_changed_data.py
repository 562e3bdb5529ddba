"""A run that is resumed after its images changed, and what reads them again after training."""

import json
import logging
import os
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from edgekd.artifact import sha256
from edgekd.data.good_images import read_frames, training_images
from edgekd.data.image_hashes import digests_by_path, find_changes, require_unchanged_images
from edgekd.errors import ArtifactError, EdgekdError
from edgekd.recipe import TrainingRecipe, held_out_images, read_recipe, write_recipe
from edgekd.training.changed_data import recipe_to_resume
from edgekd.training.checkpoints import iterations_done
from edgekd.training.run import start_run, train
from edgekd.training.stages import checkpoint_of
from edgekd.training.teachers.loading import load_teacher
from edgekd.workflows.calibrate import calibrate
from edgekd.workflows.threshold import threshold

from ..conftest import copy_images, monocrystalline
from ..run_command import main


@pytest.fixture(scope="module")
def begun(elpv_images, tiny_teacher, tmp_path_factory):
    """A run of two iterations on 22 images, two held out."""
    folder = tmp_path_factory.mktemp("begun")
    copy_images(elpv_images[:24], folder / "good", 64)
    teacher = load_teacher(str(tiny_teacher))
    recipe = TrainingRecipe(
        "hkt",
        str(folder / "good"),
        {teacher.name: teacher.sha256},
        iterations=2,
        size=64,
        settings={"teacher": teacher.network},
    )
    start_run(folder / "run", recipe, [teacher])
    train(folder / "run", torch.device("cpu"), lambda iteration, loss: None)
    return folder


@pytest.fixture
def run(begun, tmp_path):
    """A copy of the run and its images that may be changed."""
    shutil.copytree(begun, tmp_path / "copy")
    run = tmp_path / "copy" / "run"
    write_recipe(run, replace(read_recipe(run), data=str(tmp_path / "copy" / "good")))
    return run


def good(run):
    return run.parent / "good"


def change(path):
    """Another image of the same name, size in pixels and time of change."""
    before = path.stat()
    cv2.imwrite(str(path), 255 - cv2.imread(str(path)))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def contents(run):
    return {path.name: path.read_bytes() for path in run.iterdir()}


def test_the_recipe_has_the_hash_of_each_image(run):
    recipe = read_recipe(run)
    assert recipe.images == {path.name: sha256(path) for path in good(run).iterdir()}
    assert len(recipe.held_out) == 2


def test_a_run_whose_images_are_the_same_goes_on(run):
    assert recipe_to_resume(run, False) == read_recipe(run)


def test_defective_images_that_somebody_added_are_refused_by_name_and_nothing_is_touched(run, capsys):
    for path in copy_images(monocrystalline("1.0")[:5], good(run) / "more", 64):
        path.rename(good(run) / f"x{path.name}")
    before = contents(run)
    assert main(["train", "hkt", "--run", run, "--resume", "--iterations", 4]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "added 5 (x000.png, x001.png, x002.png and 2 more); put that right, or go on with them: edgekd train" in line
    assert contents(run) == before


def test_images_that_were_removed_or_have_another_content_are_refused_by_name(run):
    recipe = read_recipe(run)
    trained, held_out = training_images(recipe), held_out_images(recipe)
    trained[0].unlink()
    change(trained[1])
    change(held_out[0])
    with pytest.raises(EdgekdError) as caught:
        recipe_to_resume(run, False)
    changed = ", ".join(sorted([trained[1].name, held_out[0].name]))
    assert f"removed 1 ({trained[0].name}), changed 2 ({changed})" in str(caught.value)


def test_accepted_changes_are_trained_on_and_written_down(run, elpv_images, capsys):
    recipe = read_recipe(run)
    trained, held_out = training_images(recipe), held_out_images(recipe)
    trained[0].unlink()
    held_out[0].unlink()
    change(trained[1])
    copy_images(elpv_images[30:31], good(run) / "more", 64)
    shutil.copy(held_out[1], good(run) / "copy of held out.png")
    assert (
        main(["train", "hkt", "--run", run, "--resume", "--accept-changed-data", "--iterations", 3, "--json", "-"]) == 0
    )
    answer = json.loads(capsys.readouterr().out)
    assert (answer["held_out"], answer["images"]) == (1, 24)
    after = read_recipe(run)
    assert after.held_out == (held_out[1].name,)
    assert after.left_out == ("copy of held out.png",)
    assert after.trained_images == len(training_images(after)) == 22
    assert after.images == {name: sha256(good(run) / name) for name in after.images}
    assert "more/000.png" in after.images
    (entry,) = after.data_changes
    assert entry["added"] == ["copy of held out.png", "more/000.png"]
    assert sorted(entry["removed"]) == sorted([trained[0].name, held_out[0].name])
    assert (entry["changed"], entry["iterations"]) == ([trained[1].name], 2)
    assert not find_changes(after)
    assert iterations_done(checkpoint_of(run)) == 3


def test_a_run_of_before_there_were_hashes_goes_on_with_a_warning(run, caplog):
    write_recipe(run, replace(read_recipe(run), images={}))
    change(training_images(read_recipe(run))[0])
    assert recipe_to_resume(run, False).images == {}
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert "kept no hashes of its images" in caplog.text
    assert len(recipe_to_resume(run, True).images) == 24
    assert read_recipe(run).data_changes[0]["images_before"] is None


def test_accepting_changes_is_for_runs_that_are_resumed(run, capsys):
    assert main(["train", "hkt", "--data", good(run), "--run", run.parent / "new", "--accept-changed-data"]) == 2
    assert "add --resume, or leave it out" in capsys.readouterr().err


def test_the_bytes_that_are_trained_on_are_those_of_the_hash(run):
    """An image that is exchanged after it was compared: the hash is taken of what is decoded."""
    recipe = read_recipe(run)
    paths = training_images(recipe)
    assert len(read_frames(paths, recipe.preprocessing, digests_by_path(recipe))) == 22
    change(paths[3])
    with pytest.raises(EdgekdError, match=rf"images changed while they were used: 1 \({paths[3]}\)"):
        read_frames(paths, recipe.preprocessing, digests_by_path(recipe))


def test_export_and_calibrate_refuse_changed_images_by_name(run, capsys):
    changed = held_out_images(read_recipe(run))[0]
    change(changed)
    before = contents(run)
    assert main(["export", run]) == 2
    line = capsys.readouterr().err
    assert f"changed since it was trained: 1 ({changed.name}); put them back, or take them as they are: edgekd " in line
    assert contents(run) == before
    with pytest.raises(EdgekdError, match="changed since it was trained"):
        calibrate(run)


def test_threshold_takes_no_images_but_those_of_the_training(exported):
    image = held_out_images(read_recipe(exported.parent))[0]
    kept = image.read_bytes()
    change(image)
    try:
        with pytest.raises(EdgekdError, match=rf"changed since it was trained: 1 \({image.name}\)"):
            threshold(exported)
    finally:
        image.write_bytes(kept)  # Other tests share it.


def test_added_images_are_not_taken_for_those_of_the_training_and_missing_ones_are_reported(run, caplog):
    recipe = read_recipe(run)
    gone = training_images(recipe)[0]
    gone.unlink()
    cv2.imwrite(str(good(run) / "new.png"), np.zeros((64, 64, 3), np.uint8))
    caplog.set_level(logging.INFO)
    require_unchanged_images(run, recipe)
    assert f"are gone since it was trained: 1 ({gone.name})" in caplog.text
    assert "are not used: 1 (new.png)" in caplog.text
    assert good(run) / "new.png" not in training_images(recipe)


def test_a_damaged_checkpoint_is_refused_by_name(run):
    path = checkpoint_of(run)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        ArtifactError, match=rf"cannot resume from {path} \(it is damaged, its SHA-256 differs\): put its"
    ):
        iterations_done(path)


@pytest.mark.parametrize("other", [{"seed": 1}, {"images": {"000.png": "0" * 64}}, {"learning_rate": 1.0}])
def test_the_checkpoint_of_another_run_is_refused(run, other, tiny_teacher):
    write_recipe(run, replace(read_recipe(run), iterations=3, **other))
    if "images" in other:
        recipe = read_recipe(run)
        images = {path.name: sha256(path) for path in good(run).iterdir()}
        change(good(run) / "000.png")
        now = {**images, "000.png": sha256(good(run) / "000.png")}
        write_recipe(run, replace(recipe, images=now))
    with pytest.raises(ArtifactError, match="it is the checkpoint of another run or stage, or of other images"):
        train(run, torch.device("cpu"), lambda iteration, loss: None)


def test_a_checkpoint_without_a_hash_serves_runs_of_before_there_were_any_alone(run):
    path = checkpoint_of(run)
    content = path.read_bytes()
    path.write_bytes(content[content.index(b"PK\x03\x04") :])
    write_recipe(run, replace(read_recipe(run), iterations=3))
    with pytest.raises(ArtifactError, match="it has no SHA-256, and this run writes it"):
        train(run, torch.device("cpu"), lambda iteration, loss: None)
    write_recipe(run, replace(read_recipe(run), images={}))
    train(run, torch.device("cpu"), lambda iteration, loss: None)
    assert iterations_done(path) == 3
