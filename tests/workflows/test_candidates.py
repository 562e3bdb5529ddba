"""What `choose` tries, and what becomes of a candidate that fails."""

from dataclasses import replace

import pytest

from edgekd.errors import ArtifactError, MachineError
from edgekd.models.registry import LIGHT_TEACHER, SYSTEMS
from edgekd.progress import silent
from edgekd.run_folder import TRIAL_FILE
from edgekd.workflows.candidates import (
    Candidate,
    TrialTask,
    find_candidates,
    read_trial,
    replaced_teachers,
    try_candidate,
)
from edgekd.workflows.judge import Judge
from edgekd.workflows.train import TrainOptions


def test_each_system_is_tried_at_each_size_the_small_ones_first():
    candidates = list(find_candidates(None))
    assert [(each.system, each.size) for each in candidates] == [
        (name, (side, side)) for side in (128, 256) for name in SYSTEMS
    ]
    assert {each.teachers for each in find_candidates("pdn_small")} == {("pdn_small",)}


def test_a_system_whose_teacher_is_not_here_is_tried_with_another_and_that_is_said():
    candidates = list(find_candidates(None))
    teachers = {each.system: each.teachers for each in candidates}
    assert teachers["pfadseg"] == teachers["dskd"] == (LIGHT_TEACHER,)
    assert teachers["mthf"] == SYSTEMS["mthf"].teachers
    assert replaced_teachers(candidates) == [
        f"pfadseg is tried with {LIGHT_TEACHER}: resnet18 is not here (edgekd teachers fetch resnet18)",
        f"dskd is tried with {LIGHT_TEACHER}: wide_resnet50_2 is not here (edgekd teachers fetch wide_resnet50_2)",
    ]


@pytest.fixture
def task(forty_good, tmp_path):
    """A trial of HKT, of which some options of the training are given."""

    def made(**options):
        training = TrainOptions("hkt", **{"data": forty_good, "run": tmp_path / "run", "minutes": 0.1} | options)
        return TrialTask(Candidate("hkt", (64, 64), ("nosuch",)), 1, training, Judge([], [], "synthetic"))

    return made


def test_a_candidate_that_fails_is_a_trial_with_its_error_and_is_not_tried_again(task, tmp_path):
    trial = try_candidate(task(teacher="nosuch"), silent)
    assert trial.error.startswith("unknown teacher 'nosuch'")
    assert (trial.image_auroc, trial.candidate) == (None, Candidate("hkt", (64, 64), ("nosuch",)))
    assert read_trial(tmp_path / "run") == trial == try_candidate(task(teacher="pdn_small"), silent)


def test_a_trial_is_of_the_folder_where_it_lies_now(task, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trial = try_candidate(task(teacher="nosuch", run="run"), silent)
    (tmp_path / "run").rename(tmp_path / "moved")
    moved = try_candidate(task(teacher="nosuch", run=tmp_path / "moved"), silent)
    assert moved == replace(trial, run=str(tmp_path / "moved"))


@pytest.mark.parametrize("content", ["[]", "{}", '{"system": "hkt", "size": "wide", "teachers": 3}', "{"])
def test_a_damaged_trial_is_refused_with_its_file(tmp_path, content):
    (tmp_path / TRIAL_FILE).write_text(content)
    with pytest.raises(ArtifactError, match=r"trial\.json (is not a trial that|holds a list in|is not valid JSON)"):
        read_trial(tmp_path)


def test_what_the_machine_lacks_ends_all(task, tmp_path):
    with pytest.raises(MachineError, match="no device cuda:7"):
        try_candidate(task(device="cuda:7"), silent)
    assert not (tmp_path / "run").exists()
