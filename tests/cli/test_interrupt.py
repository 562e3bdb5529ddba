import os
import signal
import subprocess
import sys

from edgekd.recipe import read_recipe

CODE = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from edgekd.cli.main import main; "


def start(*words: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", f"{CODE}raise SystemExit(main({[str(word) for word in words]!r}))"]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"})


def test_ctrl_c_saves_and_resume_goes_on(good_folder, tiny_teacher, tmp_path):
    run = tmp_path / "run"
    common = ["--data", good_folder, "--teacher", tiny_teacher, "--size", 64, "--iterations", 1000]
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
    assert "--resume" in rest
    assert "Traceback" not in rest
    assert (run / "checkpoint_student.pt").exists()
    assert not list(run.glob(".*part*"))
    done = start("train", "hkt", "--run", run, "--resume", "--iterations", 100)
    _, said = done.communicate(timeout=120)
    assert done.returncode == 0, said
    assert read_recipe(run).iterations == 100
    assert (run / "student.safetensors").exists()


def test_ctrl_c_before_anything_is_trained_leaves_one_line(good_folder, tiny_teacher, tmp_path):
    process = start("train", "hkt", "--data", good_folder, "--run", tmp_path / "run", "--teacher", tiny_teacher)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("teacher ")  # Now it asks the teacher about every image.
    process.send_signal(signal.SIGINT)
    said = process.stderr.read()
    assert process.wait(60) == 130, said
    assert "Traceback" not in said
