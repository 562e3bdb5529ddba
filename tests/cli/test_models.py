"""edgekd models: counts beside the papers' figures; settings, sizes and defaults of one system."""

import json
import subprocess
import sys

import pytest

import edgekd.models
from edgekd.cli.output import answer
from edgekd.models.registry import SYSTEMS, find_system

from ..run_command import main


def test_models_json_holds_every_row_of_the_papers_tables(capsys):
    assert main(["models", "--json", "-"]) == 0
    systems = {system["system"]: system for system in json.loads(capsys.readouterr().out)}
    assert systems["hkt"]["parts"]["student"]["parameters"] == 2_852_804
    assert systems["hkt_plus"]["parts"]["student"]["parameters"] == 8_529_830
    rows = [row for system in systems.values() for row in system["paper"]["rows"] if row["paper_gflops"]]
    assert sorted(row["gflops"] for row in rows) == [15.31, 20.31, 52.03, 52.07, 63.18, 63.21, 234.0]
    assert systems["hkt"]["parts"]["deployed"]["parameters"] == 5_398_340
    assert list(systems) == list(SYSTEMS)


def test_a_size_that_not_every_system_takes_is_no_traceback(fails):
    assert "mhkd does not take images of 100 pixels a side: use 64 or 128" in fails("models", "--size", 100)


def test_a_rectangles_operations_follow_its_area_in_either_orientation(capsys):
    square, wide, tall = (edgekd.models.list_systems(size, "mthf")[0] for size in (128, "128x320", (320, 128)))
    teacher = "teacher efficientnet_lite0"
    assert 2 * wide["parts"][teacher]["macs"] == 5 * square["parts"][teacher]["macs"]
    assert wide["parts"]["whole"] == tall["parts"]["whole"]
    assert (wide["size"], tall["size"]) == ([128, 320], [320, 128])
    assert main(["models", "mthf", "--size", "128x320"]) == 0
    assert "MTHF at 128 x 320" in capsys.readouterr().out


def test_a_rectangle_that_a_system_does_not_take_names_the_nearest(fails):
    message = fails("models", "pfadseg", "--size", "128x100")
    assert "pfadseg does not take images of 128 x 100 pixels (height x width): use 128x64 or 128" in message


@pytest.mark.parametrize("system", ["hkt", "mthf"])
def test_the_function_and_the_command_give_the_same_answer(system, capsys):
    assert main(["models", system, "--size", 128, "--json", "-"]) == 0
    (described,) = json.loads(capsys.readouterr().out)
    assert [described] == edgekd.models.list_systems(128, system)
    assert (described["system"], described["size"]) == (system, [128, 128])
    assert {"parts", "paper", "teachers", "image_sizes", "training", "settings"} < described.keys()


@pytest.mark.parametrize("system", ["hkt", "pfadseg"])
def test_both_ways_of_training_a_system_stand_side_by_side(system, capsys, monkeypatch):
    monkeypatch.setattr(answer, "width", 200)
    assert main(["models", system]) == 0
    lines = [line.replace("\u2502", " ").split() for line in capsys.readouterr().out.splitlines()]
    timed, paper = find_system(system).timed, find_system(system).training
    for words in (
        f"--batch {timed.batch} {paper.batch} images a step",
        f"--learning-rate {timed.learning_rate:g} {paper.learning_rate:g} of the first",
        f"--schedule {timed.schedule} {paper.schedule} constant, step or cosine",
        f"--augment {' '.join(timed.augment) or 'none'} none changes of the images",
        f"{timed.optimizer} {paper.optimizer} optimizer",
        f"{timed.weight_decay:g} {paper.weight_decay:g} weight decay",
    ):
        assert any(line[: len(words.split())] == words.split() for line in lines), words


def test_a_system_is_shown_with_its_settings_sizes_and_training_defaults(capsys, monkeypatch):
    monkeypatch.setattr(answer, "width", 200)
    assert main(["models", "dskd"]) == 0
    lines = [line.replace("\u2502", " ").split() for line in capsys.readouterr().out.splitlines()]
    for words in (
        "--teacher wide_resnet50_2 wide_resnet50_2 one teacher, by a name of",
        "--iterations as many as fit 210 epochs",
        "--set students both both, forward or reverse",
        "--set flatten off on or off",
        "teacher 66,834,240 14.89 29.77",
    ):
        assert any(line[: len(words.split())] == words.split() for line in lines), words


@pytest.mark.parametrize("system", ["hkt", "mhkd", "dskd"])
def test_legal_sizes_are_those_that_a_detector_takes(system):
    (described,) = edgekd.models.list_systems(system=system)
    smallest, step = described["image_sizes"]["smallest"], described["image_sizes"]["step"]
    found = find_system(system)
    detector = found.detector(256, {found.teacher_setting: "efficientnet_lite0"})
    for size in (smallest, smallest + 3 * step):
        assert detector.legal_sizes_near(size) == (size,)
    for size in (smallest - step, smallest + step // 2):
        assert detector.legal_sizes_near(size) != (size,)


def test_an_unknown_system_names_the_nearest(fails):
    assert "unknown system 'hkt-plus': did you mean hkt_plus?" in fails("models", "hkt-plus")


def test_the_package_of_models_is_imported_without_torch():
    code = "import edgekd.models, sys; edgekd.models.list_systems; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout == "False\n"
