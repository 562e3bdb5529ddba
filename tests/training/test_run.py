import pytest
import torch
from safetensors.torch import load_file

from edgekd.errors import EdgekdError
from edgekd.models.registry import SYSTEMS, find_system
from edgekd.recipe import TrainingRecipe, read_recipe
from edgekd.run_folder import STUDENT_FILE, TEACHER_FILE
from edgekd.training import loop
from edgekd.training.checkpoints import iterations_done, read_checkpoint
from edgekd.training.run import change_iterations, load_run, start_run, train
from edgekd.training.stages import checkpoint_of, learning_rate_at, stages_of
from edgekd.training.teachers.loading import load_teacher

CPU = torch.device("cpu")
LITE0 = "efficientnet_lite0"


def ignore(iteration, loss):
    pass


def new_run(folder, good, system, settings, **fields):
    teachers = [load_teacher(LITE0)]
    recipe = TrainingRecipe(
        system, str(good), {entry.name: entry.sha256 for entry in teachers}, size=64, settings=settings, **fields
    )
    start_run(folder, recipe, teachers)
    return folder


def dskd_run(folder, good):
    return new_run(folder, good, "dskd", {"backbone": LITE0}, iterations=42, batch=2, learning_rate=5e-3)


def test_a_run_interrupted_in_its_second_stage_ends_with_the_weights_of_one_that_was_not(
    good_folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "CHECK_EVERY", 1)

    def interrupt_in_the_second(iteration, loss):
        if iteration == 41:
            raise KeyboardInterrupt

    whole, parted = dskd_run(tmp_path / "whole", good_folder), dskd_run(tmp_path / "parted", good_folder)
    told = []
    train(whole, CPU, lambda iteration, loss: told.append(iteration))
    with pytest.raises(KeyboardInterrupt):
        train(parted, CPU, interrupt_in_the_second)
    assert not (parted / STUDENT_FILE).exists()
    train(parted, CPU, ignore)
    assert told == list(range(1, 43))
    expected, resumed = load_file(whole / STUDENT_FILE), load_file(parted / STUDENT_FILE)
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[key], resumed[key]) for key in expected)
    assert checkpoint_of(whole, "students").exists()
    assert checkpoint_of(whole, "fusion").exists()


def test_dropout_follows_from_the_iteration_and_quantiles_from_held_out_images(forty_good, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECK_EVERY", 1)

    def interrupt_at_3(iteration, loss):
        if iteration == 3:
            raise KeyboardInterrupt

    def run_of(name):
        return new_run(tmp_path / name, forty_good, "mhkd", {"teacher": LITE0}, iterations=5)

    whole, parted = run_of("whole"), run_of("parted")
    train(whole, CPU, ignore)
    with pytest.raises(KeyboardInterrupt):
        train(parted, CPU, interrupt_at_3)
    torch.rand(7)  # Whatever else drew numbers in between.
    train(parted, CPU, ignore)
    expected, resumed = load_file(whole / STUDENT_FILE), load_file(parted / STUDENT_FILE)
    assert all(torch.equal(expected[key], resumed[key]) for key in expected)
    assert expected["ranges"][0, 1] > expected["ranges"][0, 0] > 0


def test_a_loaded_run_says_what_was_trained_and_stands_alone(good_folder, tmp_path):
    run = dskd_run(tmp_path / "run", good_folder)
    with pytest.raises(EdgekdError, match=r"is not finished: edgekd train dskd --run .*run --resume"):
        load_run(run)
    train(run, CPU, ignore)
    detector, recipe = load_run(run)
    assert recipe == read_recipe(run)
    state = load_file(run / STUDENT_FILE)
    assert not any(key.startswith("teacher.") for key in state)
    assert torch.equal(detector.state_dict()["fusion.weight"], state["fusion.weight"])
    assert not torch.equal(state["fusion.weight"], torch.full((1, 6, 1, 1), 1 / 6))
    backbone = load_teacher(LITE0).state
    kept = load_file(run / TEACHER_FILE)
    assert torch.equal(kept["backbone._conv_stem.weight"], backbone["_conv_stem.weight"])


@pytest.mark.parametrize("system", list(SYSTEMS))
def test_stages_share_the_iterations_as_the_paper_has_them(system):
    with torch.device("meta"):
        detector = find_system(system).detector(64)
    shares = {stage.name: count for stage, count in stages_of(detector, 2100)}
    expected = {"pfadseg": {"student": 900, "segmentation": 1200}, "dskd": {"students": 2000, "fusion": 100}}
    assert shares == expected.get(system, {"student": 2100})
    for iterations in (1, 2, 5):
        assert sum(count for _, count in stages_of(detector, iterations)) == iterations


def test_schedules():
    def rates(schedule):
        recipe = TrainingRecipe("hkt", "", {}, 100, learning_rate=0.5, schedule=schedule)
        return [learning_rate_at(iteration, 100, recipe) for iteration in (0, 50, 94, 95, 99)]

    assert rates("constant") == [0.5] * 5
    assert rates("step") == [0.5, 0.5, 0.5, 0.05, 0.05]
    assert rates("cosine")[:2] == [0.5, pytest.approx(0.25)]
    assert 0 < rates("cosine")[-1] < 0.001


def test_parts_of_a_stage_learn_at_their_own_rates(good_folder, tmp_path):
    run = dskd_run(tmp_path / "run", good_folder)
    train(run, CPU, ignore)
    groups = read_checkpoint(checkpoint_of(run, "fusion"))["optimizer"]["param_groups"]
    assert [group["lr"] for group in groups] == [pytest.approx(1e-3)]
    assert groups[0]["betas"] == (0.5, 0.999)


def test_a_longer_run_begins_its_later_stages_anew_and_drops_the_weights_of_the_shorter(good_folder, tmp_path):
    run = dskd_run(tmp_path / "run", good_folder)
    train(run, CPU, ignore)
    assert change_iterations(run, 63) == read_recipe(run)
    assert read_recipe(run).iterations == 63
    assert iterations_done(checkpoint_of(run, "students")) == 40
    assert not checkpoint_of(run, "fusion").exists()
    assert not (run / STUDENT_FILE).exists()
    train(run, CPU, ignore)
    assert iterations_done(checkpoint_of(run, "students")) == 60
    assert iterations_done(checkpoint_of(run, "fusion")) == 3
    before = (run / STUDENT_FILE).read_bytes()
    with pytest.raises(
        EdgekdError, match="has done 60 iterations of its stage students, of 21 in all it would have 20"
    ):
        change_iterations(run, 21)
    assert (run / STUDENT_FILE).read_bytes() == before
    assert read_recipe(run).iterations == 63


def test_held_out_images_that_are_gone_are_missed_before_training(forty_good, tmp_path):
    run = new_run(tmp_path / "run", forty_good, "mhkd", {"teacher": LITE0}, iterations=5)
    for name in read_recipe(run).held_out[:8]:
        (forty_good / name).unlink()
    with pytest.raises(EdgekdError, match="2 are too few"):
        train(run, CPU, ignore)
    assert not checkpoint_of(run).exists()


def test_a_texture_that_cannot_be_read_stops_training_and_loses_nothing(good_folder, elpv_images, tmp_path):
    textures = tmp_path / "textures"
    textures.mkdir()
    (textures / "a.png").write_bytes(elpv_images[0].read_bytes()[:-500])
    run = new_run(
        tmp_path / "run", good_folder, "dskd", {"backbone": LITE0}, iterations=63, batch=2, textures=str(textures)
    )
    with pytest.raises(EdgekdError, match=r"a\.png is cut off"):
        train(run, CPU, ignore)
    assert iterations_done(checkpoint_of(run, "students")) == 60


@pytest.mark.parametrize(
    ("system", "batch", "iterations"),
    [("pfadseg", 4, 2), ("dskd", 2, 21), ("mthf", 2, 1), ("mhkd", 1, 1), ("hkt", 1, 1)],
)
def test_training_in_bfloat16_has_finite_losses_and_weights(system, batch, iterations, forty_good, tmp_path):
    setting = find_system(system).teacher_setting
    settings = {setting: [LITE0] if setting == "groups" else LITE0}
    run = new_run(
        tmp_path / "run", forty_good, system, settings, iterations=iterations, batch=batch, mixed_precision=True
    )
    losses = []
    train(run, CPU, lambda iteration, loss: losses.append(loss))
    assert losses
    assert all(torch.isfinite(value).all() for value in load_file(run / STUDENT_FILE).values())
