"""edgekd train: what it takes, reports and refuses, and what is left when it is interrupted."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from edgekd.artifact import read_json
from edgekd.recipe import read_recipe
from edgekd.training.checkpoints import iterations_done
from edgekd.workflows.train import train as run_training

from ..run_command import main

LITE = ("--teacher", "efficientnet_lite0")


def train(good: Path, run: Path, *more: object, system: str = "hkt") -> list[object]:
    return ["train", system, "--data", good, "--run", run, "--iterations", 1, "--size", 64, *more]


def test_the_function_and_the_command_give_the_same_answer(good_folder, tiny_teacher, tmp_path, capsys):
    (good_folder / "notes.txt").write_text("not an image")
    (good_folder / ".hidden").touch()
    words = train(good_folder, tmp_path / "by command", "--teacher", tiny_teacher, "--set", "cbam=off", "--json", "-")
    assert main([*words, "--seed", 4]) == 0
    printed = capsys.readouterr()
    by_command = json.loads(printed.out)
    assert (
        "found 24 good images: 22 to train on, 2 held out; ignored 2 files: 1 hidden, 1 not an image (.txt)\n"
        f"teacher {tiny_teacher}; 1 iterations of 4 images of 64 x 64 pixels on cpu" in printed.err
    )
    by_function = run_training(
        "hkt",
        data=str(good_folder),
        run=tmp_path / "by function",
        iterations=1,
        size=64,
        teacher=tiny_teacher,
        settings={"cbam": False},
        seed=4,
    ).to_dict()
    assert by_command["run"] == str(tmp_path / "by command")
    for answer in (by_command, by_function):
        assert answer.pop("seconds") > 0
        answer.pop("run")
    assert by_command == by_function
    assert by_command["images"] == 24
    assert by_command["held_out"] == 2
    assert by_command["ignored"] == {"hidden": 1, "not an image (.txt)": 1}
    weights = [load_file(tmp_path / run / "student.safetensors") for run in ("by command", "by function")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_quiet_training_prints_the_next_command_alone(good_folder, tiny_teacher, tmp_path, capsys):
    words = train(good_folder, tmp_path / "my run", "--teacher", tiny_teacher, "--quantization-aware", "-q")
    assert main(words) == 0
    printed = capsys.readouterr()
    assert "found" not in printed.err
    assert printed.out.endswith(f"next: edgekd export '{tmp_path / 'my run'}' --precision int8\n")


def test_what_learned_to_be_rounded_is_not_tuned(good_folder, tiny_teacher, tmp_path, fails):
    assert main(train(good_folder, tmp_path / "run", "--teacher", tiny_teacher, "--quantization-aware")) == 0
    line = fails("export", tmp_path / "run", "--precision", "int8", "--tune")
    assert "--tune is for runs that were trained in float" in line
    assert not list((tmp_path / "run").glob("*.onnx"))


def test_several_teachers_are_named_one_by_one(forty_good, tmp_path, capsys):
    words = train(forty_good, tmp_path / "run", *LITE, "--teacher", "pdn_small", "--batch", 2, system="mthf")
    assert main(words) == 0
    assert "teacher efficientnet_lite0 + pdn_small; 1 iterations" in capsys.readouterr().err
    assert list(read_recipe(tmp_path / "run").teachers) == ["efficientnet_lite0", "pdn_small"]


def test_a_place_that_cannot_be_written_is_refused_before_training(fails, good_folder, tmp_path, tiny_teacher):
    line = fails(*train(good_folder, tmp_path / "run", "--teacher", tiny_teacher, "--json", tmp_path))
    assert "it is a folder, give the name of a file" in line
    assert not (tmp_path / "run").exists()


def test_an_unknown_system_names_the_nearest(fails, good_folder, tmp_path):
    line = fails(*train(good_folder, tmp_path / "run", system="hkt-plus"))
    assert "unknown system 'hkt-plus': did you mean hkt_plus?" in line
    assert not (tmp_path / "run").exists()


def test_a_missing_data_folder_is_named(fails, tmp_path, tiny_teacher):
    gone = tmp_path / "gone"
    assert f"no such folder: {gone}" in fails(*train(gone, tmp_path / "run", "--teacher", tiny_teacher))


def test_an_empty_data_folder_is_named(fails, tmp_path, tiny_teacher):
    (tmp_path / "empty").mkdir()
    assert "no image in" in fails(*train(tmp_path / "empty", tmp_path / "run", "--teacher", tiny_teacher))


def test_a_damaged_training_image_stops_training_and_is_named(fails, good_folder, tmp_path, tiny_teacher):
    data = shutil.copytree(good_folder, tmp_path / "data")
    victim = sorted(data.iterdir())[0]
    victim.write_bytes(victim.read_bytes()[:-200])
    # The victim is trained on or held out by the seed's choice; seed 0 trains on the first image.
    line = fails(*train(data, tmp_path / "run", "--teacher", tiny_teacher))
    assert f"{victim.name} is cut off" in line


def test_a_size_the_network_does_not_take_names_the_nearest(fails, good_folder, tmp_path, tiny_teacher):
    line = fails(
        "train", "hkt", "--data", good_folder, "--run", tmp_path / "run", "--size", 130, "--teacher", tiny_teacher
    )
    assert "use 128 or 132" in line
    assert not (tmp_path / "run").exists()


def test_a_teacher_of_the_wrong_shape_is_named(fails, good_folder, tmp_path, tiny_teacher):
    line = fails(*train(good_folder, tmp_path / "run", "--teacher", tiny_teacher, system="hkt_plus"))
    assert "the teacher of this student must be pdn_medium or a backbone, got pdn_small" in line
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("system", "words", "complaint"),
    [
        (
            "hkt",
            ["--teacher", "pdn_small", "--teacher", "resnet18"],
            "hkt takes one teacher, by a name of 'edgekd teach",
        ),
        ("dskd", ["--teacher", "paper-like"], "file, got paper-like"),
        (
            "mthf",
            ["--teacher", "paper-like", "--teacher", "pdn_small"],
            "or paper-like (resnet18, mobilenet_v2, effici",
        ),
        ("pfadseg", [], "the weights of resnet18 are not here: 'edgekd teachers fetch resnet18' downloads 47 MB"),
        ("pfadseg", ["--teacher", "pdn_smal"], "unknown teacher 'pdn_smal': did you mean pdn_small?"),
        (
            "mthf",
            [*LITE, *LITE],
            "mthf takes one teacher or several different ones, got efficientnet_lite0 efficientnet_li",
        ),
        ("dskd", [*LITE, "--set", "students=none"], "setting students of dskd must be both, forward or reverse, got"),
        ("dskd", [*LITE, "--set", "student=both"], "unknown setting of dskd 'student': did you mean students?"),
        ("pfadseg", [*LITE, "--batch", 1], "pfadseg needs --batch 2 or more"),
        ("mhkd", LITE, "2 are too few: give at least 30 good images"),
        ("mhkd", [*LITE, "--size", 96], "96 pixels a side: use 64 or 128"),
        ("dskd", ["--teacher", "pdn_small"], "unknown backbone"),
        ("mhkd", [*LITE, "--set", "dropout=1"], "dropout must be at least 0 and below 1, got 1"),
        ("hkt", ["--textures", "."], "--textures is for synthetic anomalies, and this hkt learns without them"),
        ("pfadseg", [*LITE, "--quantization-aware"], "--quantization-aware is for hkt and hkt_plus"),
        ("hkt", ["--device", "tpu"], "device must be auto, cpu or cuda, got 'tpu'"),
    ],
)
def test_what_a_system_does_not_take_is_named(fails, good_folder, tmp_path, system, words, complaint):
    assert complaint in fails(*train(good_folder, tmp_path / "run", *words, system=system))
    assert not (tmp_path / "run").exists()


def test_a_texture_folder_without_images_is_named(fails, good_folder, tmp_path):
    (tmp_path / "empty").mkdir()
    for folder, complaint in ((tmp_path / "gone", "no such folder"), (tmp_path / "empty", "no image in")):
        words = [*LITE, "--batch", 2, "--set", "fusion=learned", "--textures", folder]
        line = fails(*train(good_folder, tmp_path / "run", *words, system="dskd"))
        assert "--textures FOLDER" in line
        assert complaint in line
        assert not (tmp_path / "run").exists()


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_pickle_that_is_no_state_dict_is_refused_and_not_executed(fails, good_folder, tmp_path):
    sprung = tmp_path / "sprung"
    (tmp_path / "teacher.pth").write_bytes(pickle.dumps({"0.weight": _Trap(sprung)}))
    torch.save({"0.weight": _Trap(sprung)}, tmp_path / "zipped.pth")
    for name in ("teacher.pth", "zipped.pth"):
        assert "was refused" in fails(*train(good_folder, tmp_path / "run", "--teacher", tmp_path / name))
    assert not sprung.exists()


def test_a_run_is_not_overwritten(fails, trained_run, good_folder, tiny_teacher):
    before = (trained_run / "student.safetensors").read_bytes()
    assert "holds a run already" in fails(*train(good_folder, trained_run, "--teacher", tiny_teacher))
    assert (trained_run / "student.safetensors").read_bytes() == before


def test_resuming_nothing_says_so(fails, tmp_path):
    assert "holds no run to resume: leave out --resume to start one" in fails(
        "train", "hkt", "--run", tmp_path / "run", "--resume"
    )


def test_a_lost_loss_stops_training(fails, good_folder, tmp_path, tiny_teacher):
    huge = {name: tensor.float() * 1e12 for name, tensor in load_file(tiny_teacher).items()}
    save_file(huge, tmp_path / "huge.safetensors")
    line = fails(*train(good_folder, tmp_path / "run", "--teacher", tmp_path / "huge.safetensors"))
    assert "the loss became nan near iteration 1" in line
    assert "lower --learning-rate" in line
    assert not (tmp_path / "run" / "student.safetensors").exists()


@pytest.mark.parametrize("system", ["hkt", "hkt_plus"])
def test_training_without_a_teacher_says_which_it_took(system, good_folder, tmp_path, capsys):
    words = ["train", system, "--data", good_folder, "--run", tmp_path / "run", "--size", 64, "--iterations", 1]
    assert main(words) == 0
    assert "teacher efficientnet_lite1;" in capsys.readouterr().err
    assert read_json(tmp_path / "run" / "teachers.json")[0]["card"]["weights"].startswith("efficientnet-lite1")
    assert main(["export", str(tmp_path / "run")]) == 0


def test_a_run_extends_when_it_is_resumed_with_more_iterations(good_folder, tiny_teacher, tmp_path):
    run = tmp_path / "run"
    words = ["train", "hkt", "--data", good_folder, "--run", run, "--teacher", tiny_teacher, "--size", 64]
    assert main([*words, "--iterations", 2]) == 0
    first = (run / "student.safetensors").read_bytes()
    assert main(["train", "hkt", "--run", str(run), "--resume", "--iterations", "4"]) == 0
    assert read_recipe(run).iterations == 4
    assert (run / "student.safetensors").read_bytes() != first


CODE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from edgekd.cli.main import main; "


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"{CODE}raise SystemExit(main({[str(word) for word in words]!r}))"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})


def test_ctrl_c_saves_and_resume_goes_on(good_folder, tiny_teacher, tmp_path):
    run = tmp_path / "a run"
    common = ["--data", good_folder, "--teacher", tiny_teacher, "--size", 64, "--batch", 2, "--iterations", 1000]
    process = start("train", "hkt", "--run", run, *common)
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if "of 1000, loss" in line:
            process.send_signal(signal.SIGINT)
            break
    rest = process.stderr.read()
    assert process.wait(60) == 130, lines
    assert f"saved; resume with: edgekd train hkt --run '{run}' --resume" in rest.splitlines()
    assert "Traceback" not in rest
    assert (run / "checkpoint_student.pt").exists()
    assert not list(run.glob(".*part*"))
    more = iterations_done(run / "checkpoint_student.pt") + 10  # It stopped at 50, or later on a busy machine.
    done = start("train", "hkt", "--run", run, "--resume", "--iterations", more)
    _, said = done.communicate(timeout=120)
    assert done.returncode == 0, said
    assert read_recipe(run).iterations == more
    assert (run / "student.safetensors").exists()


def test_ctrl_c_before_anything_is_trained_leaves_one_line(good_folder, tiny_teacher, tmp_path):
    process = start("train", "hkt", "--data", good_folder, "--run", tmp_path / "run", "--teacher", tiny_teacher)
    assert process.stderr is not None
    assert process.stderr.readline() == "found 24 good images: 22 to train on, 2 held out\n"
    assert process.stderr.readline() == "timing a few steps of hkt on cpu\n"
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(60) == 130, said
    assert "Traceback" not in said
