import json

import pytest

from edgekd.artifact import read_json, sha256
from edgekd.training.teachers import distillation as teacher_distillation
from edgekd.training.teachers.backbone_weights import backbone_weights
from edgekd.training.teachers.loading import load_teacher
from edgekd.workflows.distill import distill

from ..run_command import main


@pytest.fixture(autouse=True)
def few_statistics(monkeypatch):
    monkeypatch.setattr(teacher_distillation, "STATISTICS_CROPS", 2)


def distil(good_folder, run, *more):
    words = ["distill", "--images", good_folder, "--run", run, "--backbone", "efficientnet_lite0", "--batch", 1]
    return main([*words, *more])


def test_a_distillation_reports_before_and_after_and_writes_a_teacher_with_its_card(good_folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert distil(good_folder, run, "--iterations", 2) == 0
    card = read_json(run / "teacher.json")
    assert card["held_out_error_before"] > card["held_out_error"] > 0
    assert f"{card['held_out_error_before']:.3f} -> {card['held_out_error']:.3f}" in capsys.readouterr().out
    assert card["iterations_done"] == 2
    assert card["made_from"] == {"efficientnet_lite0": sha256(backbone_weights("efficientnet_lite0"))}
    assert load_teacher(str(run / "teacher.safetensors")).network == "pdn_small"


def test_a_run_is_not_overwritten_and_not_resumed_with_other_arguments(good_folder, tmp_path, capsys):
    run = tmp_path / "run"
    assert distil(good_folder, run, "--iterations", 1, "--resume") == 2
    assert "holds no distillation to resume" in capsys.readouterr().err
    assert distil(good_folder, run, "--iterations", 1) == 0
    assert distil(good_folder, run, "--iterations", 1) == 2
    assert "add --resume to resume it" in capsys.readouterr().err
    (good_folder / "000.png").rename(good_folder / "other.png")
    assert distil(good_folder, run, "--iterations", 2, "--resume") == 2
    assert "was started with other values of --images, --iterations: use those" in capsys.readouterr().err


def test_it_goes_on_from_a_teacher_and_refuses_what_is_none(good_folder, tiny_teacher, tmp_path, capsys):
    assert distil(good_folder, tmp_path / "run", "--iterations", 1, "--start-from", tiny_teacher) == 0
    card = read_json(tmp_path / "run" / "teacher.json")
    assert card["made_from"][str(tiny_teacher)] == sha256(tiny_teacher)
    start = ["--start-from", backbone_weights("efficientnet_lite0"), "--teacher", "pdn_medium"]
    assert distil(good_folder, tmp_path / "other", "--iterations", 1, *start) == 2
    assert "does not hold a PDN" in capsys.readouterr().err


def test_an_image_that_cannot_be_read_is_passed_over_and_all_of_them_are_not(good_folder, tmp_path, capsys):
    for number in range(2, 12):
        (good_folder / f"{number:03}.png").write_bytes(b"no image")
    assert distil(good_folder, tmp_path / "run", "--iterations", 2) == 0
    for number in (*range(1, 20), *range(21, 24)):  # Every twentieth is held out, and read at the start.
        (good_folder / f"{number:03}.png").write_bytes(b"no image")
    assert distil(good_folder, tmp_path / "other", "--iterations", 2) == 2
    assert "cannot be read as an image" in capsys.readouterr().err


def test_the_function_and_the_command_give_the_same_answer(good_folder, tmp_path, capsys):
    assert distil(good_folder, tmp_path / "by command", "--iterations", 1, "--json", "-") == 0
    by_command = json.loads(capsys.readouterr().out)
    by_function = distill(
        good_folder, run=tmp_path / "by function", backbone="efficientnet_lite0", batch=1, iterations=1
    ).to_dict()
    assert by_command["file"] == str(tmp_path / "by command" / "teacher.safetensors")
    for answer in (by_command, by_function):
        assert answer.pop("seconds") > 0
        answer.pop("file")
    assert by_command == by_function
    assert (by_command["images"], by_command["iterations"]) == (24, 1)


def test_strides_and_crops_that_there_are_not_are_refused(fails, good_folder, tmp_path):
    words = ["distill", "--images", good_folder, "--run", tmp_path / "run"]
    assert "--strides must be some of 4, 8, 16, 32, got 3, 8" in fails(*words, "--strides", 8, "--strides", 3)
    assert "--crop must be one of 256, 512 pixels, got 300" in fails(*words, "--crop", 300)
    assert not (tmp_path / "run").exists()
