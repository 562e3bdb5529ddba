import math
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from edgekd.errors import ArtifactError, TrainingError
from edgekd.recipe import TrainingRecipe
from edgekd.run_folder import STUDENT_FILE
from edgekd.training import loop
from edgekd.training.batches import indices_of
from edgekd.training.checkpoints import iterations_done, load_checkpoint, read_checkpoint, save_checkpoint
from edgekd.training.loop import optimise
from edgekd.training.run import start_run, train
from edgekd.training.stages import checkpoint_of
from edgekd.training.teachers.loading import load_teacher

CPU = torch.device("cpu")
ITERATIONS = 6


def ignore(iteration, loss):
    pass


def interrupt_at_3(iteration, loss):
    if iteration == 3:
        raise KeyboardInterrupt


def new_run(folder, good_folder, teacher_file):
    teacher = load_teacher(str(teacher_file))
    recipe = TrainingRecipe(
        "hkt", str(good_folder), {teacher.name: teacher.sha256}, ITERATIONS, size=36, schedule="step", seed=5
    )
    start_run(folder, recipe, [teacher])
    return folder


def test_an_interrupted_run_that_goes_on_ends_with_the_weights_of_one_that_was_not(
    good_folder, tiny_teacher, tmp_path, monkeypatch
):
    monkeypatch.setattr(loop, "CHECK_EVERY", 3)
    whole = new_run(tmp_path / "whole", good_folder, tiny_teacher)
    train(whole, CPU, ignore)
    parted = new_run(tmp_path / "parted", good_folder, tiny_teacher)
    with pytest.raises(KeyboardInterrupt):
        train(parted, CPU, interrupt_at_3)
    assert read_checkpoint(checkpoint_of(parted))["iteration"] == 3
    assert not (parted / STUDENT_FILE).exists()
    train(parted, CPU, ignore)
    expected, resumed = load_file(whole / STUDENT_FILE), load_file(parted / STUDENT_FILE)
    assert expected.keys() == resumed.keys()
    assert all(torch.equal(expected[key], resumed[key]) for key in expected)


class Weight(nn.Module):
    """One number, whose loss can be anything."""

    def __init__(self):
        super().__init__()
        self.value = nn.Parameter(torch.tensor(1.0))


def optimise_weight(checkpoint, loss_at, iterations=100, on_step=ignore, save_every=25):
    module = Weight()
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    optimise(
        module, optimizer, lambda i: loss_at(module, i), lambda i: 0.01, iterations, checkpoint, on_step, save_every
    )
    return module


def test_the_mean_loss_is_told_every_25_iterations_and_at_the_end_also_after_resuming(tmp_path):
    told = []

    def loss_at(module, iteration):
        if iteration == 40 and not resuming:
            raise KeyboardInterrupt
        return module.value * 0 + iteration

    resuming = False
    with pytest.raises(KeyboardInterrupt):
        optimise_weight(tmp_path / "c.pt", loss_at, 60, lambda *step: told.append(step))
    resuming = True
    optimise_weight(tmp_path / "c.pt", loss_at, 60, lambda *step: told.append(step))
    assert told == [(25, 12.0), (50, np.mean(range(40, 50))), (60, np.mean(range(50, 60)))]


def test_each_checkpoint_but_the_last_is_reported(tmp_path):
    module, saved = Weight(), []
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    path = tmp_path / "c.pt"
    optimise(module, optimizer, lambda i: module.value, lambda i: 0.01, 30, path, ignore, 10, saved.append)
    assert saved == [10, 20]
    assert read_checkpoint(path)["iteration"] == 30


def test_a_checkpoint_is_due_each_minute_however_long_an_iteration_takes(tmp_path, monkeypatch):
    module, saved, now = Weight(), [], [0.0]
    monkeypatch.setattr(loop.time, "monotonic", lambda: now[0])

    def loss_at(iteration):
        now[0] += 25
        return module.value

    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    optimise(module, optimizer, loss_at, lambda i: 0.01, 10, tmp_path / "c.pt", ignore, on_save=saved.append)
    assert saved == [3, 6, 9]


def test_weights_are_not_saved_by_time_where_the_loss_is_lost(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "SAVE_SECONDS", 0.0)
    with pytest.raises(TrainingError, match="became nan near iteration 4: "):
        optimise_weight(tmp_path / "c.pt", lambda module, i: module.value * (math.nan if i == 3 else 1.0))
    content = read_checkpoint(tmp_path / "c.pt")
    assert content["iteration"] == 3
    assert math.isfinite(content["module"]["value"])


@pytest.mark.skipif(sys.platform == "win32", reason="signals as POSIX has them")
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_a_signal_waits_for_the_step_and_the_checkpoint(tmp_path, name):
    # In a process of its own: a signal to a worker of the test suite has ended it without a word.
    code = "import sys; from tests.training.test_loop import signal_in_step_8; signal_in_step_8(*sys.argv[1:])"
    command = [sys.executable, "-c", code, str(tmp_path / "c.pt"), name]
    started = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert started.stdout == f"{name} after 8 iterations\nKeyboardInterrupt\n"


def signal_in_step_8(checkpoint, name):
    """Trains a weight, and prints how many iterations are saved when the signal is delivered."""

    def deliver(received, frame):
        print(signal.Signals(received).name, "after", iterations_done(Path(checkpoint)), "iterations")

    def loss_at(module, iteration):
        if iteration == 7:
            signal.raise_signal(getattr(signal, name))
        return module.value

    signal.signal(getattr(signal, name), deliver)
    try:
        optimise_weight(Path(checkpoint), loss_at)
    except KeyboardInterrupt:
        print("KeyboardInterrupt")


@pytest.mark.parametrize("alignment", [b"0", b"00", b"", b"-64", b"\xff"])
def test_a_damaged_alignment_in_a_checkpoint_without_a_hash_is_one_clear_error(tmp_path, alignment):
    whole, damaged = tmp_path / "whole.pt", tmp_path / "damaged.pt"
    torch.save({"iteration": 7, "module": {"value": torch.ones(3)}}, whole)
    assert read_checkpoint(whole)["iteration"] == 7
    with zipfile.ZipFile(whole) as old, zipfile.ZipFile(damaged, "w") as new:
        for name in old.namelist():
            new.writestr(name, alignment if name.endswith("/.storage_alignment") else old.read(name))
    with pytest.raises(ArtifactError, match="its tensors' alignment is no positive number"):
        read_checkpoint(damaged)


def test_a_lost_loss_stops_training_and_keeps_the_checkpoint_before_it(tmp_path):
    checkpoint = tmp_path / "c.pt"
    with pytest.raises(TrainingError, match=r"became nan near iteration 75: lower --learning-rate; .*c\.pt"):
        optimise_weight(checkpoint, lambda module, i: module.value * (math.nan if i == 60 else 1.0))
    content = read_checkpoint(checkpoint)
    assert content["iteration"] == 50
    assert float(content["module"]["value"]) == pytest.approx(1 - 50 * 0.01)


def test_a_loss_that_is_lost_at_once_leaves_no_checkpoint(tmp_path):
    with pytest.raises(TrainingError, match=r"became nan near iteration 25: lower --learning-rate$"):
        optimise_weight(tmp_path / "c.pt", lambda module, i: module.value * math.inf)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kept", [0, 1, 50, 500])
def test_a_damaged_checkpoint_is_one_clear_error(tmp_path, kept):
    checkpoint = tmp_path / "c.pt"
    optimise_weight(checkpoint, lambda module, i: module.value, iterations=1)
    checkpoint.write_bytes(checkpoint.read_bytes()[:kept])
    with pytest.raises(
        ArtifactError,
        match=r"^cannot resume from .*c\.pt \(.+\): put its own back, or remove it to start that stage over$",
    ):
        optimise_weight(checkpoint, lambda module, i: module.value)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    other = nn.Linear(2, 2)
    save_checkpoint(tmp_path / "c.pt", other, torch.optim.Adam(other.parameters()), 3)
    module = Weight()
    with pytest.raises(ArtifactError, match="cannot resume from"):
        load_checkpoint(tmp_path / "c.pt", module, torch.optim.Adam(module.parameters()))


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from edgekd.errors import EdgekdError
from edgekd.training.checkpoints import save_checkpoint
from edgekd.training.weight_files import write_weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
module = torch.nn.Linear(200, 200)
optimizer = torch.optim.Adam(module.parameters())
for save in (
    lambda: save_checkpoint(Path(sys.argv[1]) / "c.pt", module, optimizer, 1),
    lambda: write_weights(Path(sys.argv[1]) / "w.safetensors", module.state_dict()),
):
    try:
        save()
    except EdgekdError as error:
        print(error)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits file sizes as Linux does")
def test_a_disk_that_takes_no_more_is_a_clear_error_and_leaves_nothing(tmp_path):
    command = [sys.executable, "-c", FULL_DISK, str(tmp_path)]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    assert [line.partition(":")[0] for line in said] == [
        f"cannot write {tmp_path / 'c.pt'}",
        f"cannot write {tmp_path / 'w.safetensors'}",
    ]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("count", "batch"), [(10, 1), (10, 3), (7, 7), (3, 8)])
def test_each_image_comes_once_an_epoch(count, batch):
    order = [index for iteration in range(30) for index in indices_of(iteration, batch, count, seed=1)]
    assert len(order) == 30 * batch
    epochs = [order[start : start + count] for start in range(0, len(order) - count + 1, count)]
    assert len(epochs) >= 2
    assert all(sorted(epoch) == list(range(count)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_the_order_of_images_follows_from_the_seed():
    assert indices_of(4, 6, 50, seed=1) == indices_of(4, 6, 50, seed=1)
    assert indices_of(4, 6, 50, seed=1) != indices_of(4, 6, 50, seed=2)
