import logging
import shlex
import sys

import pytest

from edgekd.cli.main import app
from edgekd.errors import EdgekdError
from edgekd.training import loop
from edgekd.training.teachers import distillation as teacher_distillation
from edgekd.workflows.distill import distill


@pytest.fixture(autouse=True)
def few_statistics(monkeypatch):
    monkeypatch.setattr(teacher_distillation, "STATISTICS_CROPS", 2)
    monkeypatch.setattr(loop, "CHECK_EVERY", 1)


def test_an_interruption_passes_through_and_the_logged_command_resumes(good_folder, tmp_path, caplog):
    from typer.testing import CliRunner

    caplog.set_level(logging.INFO, "edgekd")
    run = tmp_path / "a run"
    if sys.platform == "linux":  # Whose file systems take names that are not UTF-8.
        first = sorted(good_folder.iterdir())[0]
        first.rename(first.with_name("b_\udce4.png"))

    def interrupt(step, done, total=None, loss=None):
        assert (step, done, total) == ("distilling pdn_small", 1, 2)
        raise KeyboardInterrupt

    options = {"backbone": "efficientnet_lite0", "batch": 1, "iterations": 2, "strides": (8,)}
    with pytest.raises(KeyboardInterrupt):
        distill([good_folder], run=run, progress=interrupt, **options)
    command = caplog.messages[-1].removeprefix("saved; resume with: ")
    assert shlex.split(command)[:4] == ["edgekd", "distill", "--run", str(run)]
    done = CliRunner().invoke(app, shlex.split(command)[1:])
    assert done.exit_code == 0, done.output
    assert (run / "teacher.safetensors").exists()


def test_no_folder_of_images_is_refused(tmp_path):
    with pytest.raises(EdgekdError, match="--images is missing"):
        distill([], run=tmp_path / "run")
