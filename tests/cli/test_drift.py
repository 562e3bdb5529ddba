"""`edgekd drift` by its command."""

import json
import shutil

import pytest

from edgekd.artifact import read_manifest
from edgekd.engines import cpu_backends
from edgekd.precisions import PRECISIONS
from edgekd.run_folder import DETECTOR_FILE, artifact_name
from edgekd.workflows.drift import drift

from ..run_command import main


def refused(capsys, *words):
    """The one line that a command ends with, and its exit code."""
    capsys.readouterr()
    code = main([str(word) for word in words])
    said = capsys.readouterr().err.strip().splitlines()
    return code, said[-1]


def test_the_drift_report_goes_into_every_manifest(run, category, tmp_path, capsys):
    assert main(["drift", str(run), "--data", str(category), "--json", str(tmp_path / "drift.json")]) == 0
    rows = json.loads((tmp_path / "drift.json").read_text())["rows"]
    named = [(row["precision"], row["backend"]) for row in rows]
    assert named == [
        ("fp32", "torch"),
        *((precision, engine) for precision in PRECISIONS for engine in cpu_backends({"precision": precision})),
    ]
    assert set(named) >= {(precision, "openvino") for precision in PRECISIONS}
    noise = {name: row["noise"] for name, row in zip(named, rows, strict=True)}
    assert noise["fp32", "torch"] == 0
    assert noise["fp32", "openvino"] < noise["fp16", "openvino"] < noise["int8", "openvino"] < 0.5
    assert noise["fp16", "openvino"] < noise["int8_fp16", "openvino"] < 0.5
    flips = {name: row["verdict_flips"] for name, row in zip(named, rows, strict=True)}
    assert flips["fp32", "openvino"] == flips["fp32", "onnxruntime"] == 0
    assert max(flips["fp16", "openvino"], flips["int8", "openvino"]) <= 2
    assert all(abs(row["image_auroc"] - rows[0]["image_auroc"]) <= 2 / 36 for row in rows)  # Pairs of six and six.
    drift = read_manifest(run / "detector_int8.onnx")["drift"]
    assert [row["precision"] for row in drift["rows"]] == ["int8", "int8"]
    assert drift["images"] == 12
    assert "flips" in capsys.readouterr().out


def test_drift_without_artifacts_says_what_to_do(trained_run, category, tmp_path, capsys):
    bare = tmp_path / "run"
    shutil.copytree(trained_run, bare, ignore=shutil.ignore_patterns("detector*"))
    code, line = refused(capsys, "drift", bare, "--data", category)
    assert code == 2
    assert "edgekd export" in line


def test_drift_without_the_float_artifact_says_why_no_flips_are_counted(run, category, tmp_path, capsys):
    lone = tmp_path / "run"
    shutil.copytree(run, lone, ignore=shutil.ignore_patterns("detector.*", "detector_fp16*", "detector_int8_fp16*"))
    assert main(["drift", str(lone), "--data", str(category), "--json", str(tmp_path / "drift.json")]) == 0
    rows = json.loads((tmp_path / "drift.json").read_text())["rows"]
    assert {row["verdict_flips"] for row in rows} == {None}
    assert f"edgekd export {lone}" in capsys.readouterr().err


def test_a_batch_that_does_not_divide_the_test_images_is_filled_up(run, category, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("detector*"))
    assert main(["export", str(folder), "--batch", "5"]) == 0
    assert main(["drift", str(folder), "--data", str(category), "--json", str(tmp_path / "drift.json")]) == 0
    rows = json.loads((tmp_path / "drift.json").read_text())["rows"]
    assert all(row["noise"] < 1e-3 and row["verdict_flips"] == 0 for row in rows)


@pytest.mark.parametrize("command", ["drift", "evaluate"])
def test_an_artifact_of_other_weights_than_the_runs_is_refused(run, category, tmp_path, capsys, command):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    weights = folder / "student.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\0")
    words = ["drift", folder] if command == "drift" else ["evaluate", "--engine", folder]
    code, line = refused(capsys, *words, "--data", category)
    assert code == 2
    assert "was made of another student.safetensors than" in line
    assert "export it again" in line


def test_the_function_and_the_command_give_the_same(run, category, tmp_path, capsys):
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    steps = {}
    result = drift(
        folder, data=category, progress=lambda step, done, total=None, loss=None: steps.update({step: (done, total)})
    )
    capsys.readouterr()
    assert main(["drift", folder, "--data", category, "--json", "-"]) == 0
    assert json.loads(capsys.readouterr().out) == result.to_dict()
    assert steps.pop("images in torch") == (12, 12)
    assert steps == {
        f"{artifact_name(DETECTOR_FILE, precision)} on {backend}": (12, 12)
        for precision in PRECISIONS
        for backend in cpu_backends({"precision": precision})
    }
