"""kill -9 at each step: no answer that was published is missing, none is there twice, no trigger is without one."""

import os
from pathlib import Path

import pytest

from .killed import STEPS, Checked, main, one

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows has no SIGKILL")
MEMORY = Path("/dev/shm")  # Where a kill costs no waiting for a disk, which it does not need.


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step[0])
def test_a_writer_that_is_killed_at_a_step_leaves_every_answer_and_each_once(tmp_path, step):
    checked = Checked(tmp_path)
    for _ in range(2):
        checked.check(one(tmp_path, statements=step))


@pytest.mark.slow
@pytest.mark.parametrize(("how", "count"), [("steps", 400), ("times", 600)])
def test_a_thousand_kills_lose_and_double_nothing(tmp_path, how, count):
    folder = MEMORY / tmp_path.name if MEMORY.is_dir() else tmp_path
    folder.mkdir(exist_ok=True)
    try:
        main(folder, how, count)
    finally:
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
